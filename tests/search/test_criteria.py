"""The arguments of a search: what is understood, and what is refused by name."""

from __future__ import annotations

import decimal
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import orm

from lcdb_notebook.errors import TargetNotFoundError
from lcdb_notebook.models import (
    Instrument,
    KeplerObservation,
    Mission,
    MissionCatalog,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    Target,
    TESSObservation,
)
from lcdb_notebook.search.criteria import Criteria, criteria, observation_fields

# Targets


@pytest.mark.parametrize(
    "target",
    [
        261136679,
        "261136679",
        " 261136679 ",
        "TIC 261136679",
        "TIC261136679",
        np.int64(261136679),
        np.uint64(261136679),
        np.int32(261136679),
        np.array(261136679),
        np.array([261136679]),
        [261136679],
        (261136679,),
        {261136679},
        dict.fromkeys([261136679]),
        range(261136679, 261136680),
        pd.Series([261136679]),
        pd.Series(["TIC 261136679"]),
        pd.Index([261136679]),
        np.str_("TIC 261136679"),
    ],
    ids=repr,
)
def test_a_number_is_accepted_in_every_form(target: Any) -> None:
    numbers = criteria(target).numbers
    assert numbers is not None
    assert [(type(number), number) for number in numbers] == [(int, 261136679)]


def test_no_target_leaves_the_target_open() -> None:
    assert criteria() == Criteria()


def test_the_order_of_a_list_is_kept() -> None:
    assert criteria([3, "1", np.int64(2)]).numbers == (3, 1, 2)


@pytest.mark.parametrize(
    ("target", "catalog", "number"),
    [
        ("TIC 1", "TIC", 1),
        ("Gaia DR3 5707485527450614656", "Gaia DR3", 5707485527450614656),
        (["KIC 11446443", 5], "KIC", 11446443),
    ],
)
def test_a_catalog_is_accepted_before_the_number(target: Any, catalog: str, number: int) -> None:
    found = criteria(target)
    assert found.catalogs == (catalog,)
    assert (found.numbers or ())[0] == number


def test_a_catalog_repeated_equally_is_accepted() -> None:
    assert criteria("TIC 1", catalog="TIC").catalogs == ("TIC",)


def test_two_different_catalogs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"is in catalog 'TIC', but catalog='KIC'"):
        criteria("TIC 1", catalog="KIC")


def test_numbers_of_several_catalogs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"several catalogs in one search: KIC, TIC"):
        criteria(["TIC 1", "KIC 2"])


@pytest.mark.parametrize(
    "target",
    [True, np.True_, 1.5, np.float64(2.5), [1, 2.5], "pi Men", "", "TIC", "1.5", b"1", len, None],
    ids=repr,
)
def test_a_value_that_is_not_a_number_is_refused_by_name(target: Any) -> None:
    given = [None] if target is None else target
    with pytest.raises(TypeError, match="catalog number") as raised:
        criteria(given)
    shown = target if not isinstance(target, list) else 2.5
    assert repr(shown) in str(raised.value)


@pytest.mark.parametrize("number", [-1, 2**63, "9223372036854775808", np.uint64(2**64 - 1)])
def test_a_number_that_no_catalog_can_hold_is_not_found(number: Any) -> None:
    with pytest.raises(TargetNotFoundError, match=str(number)):
        criteria(number)


@pytest.mark.parametrize("number", [0, 2**63 - 1])
def test_the_smallest_and_the_largest_number_are_numbers(number: int) -> None:
    assert criteria(number).numbers == (number,)


# Lists that are empty

EMPTY: list[Any] = [[], (), np.array([], int), pd.Series([], dtype=int), iter([])]


@pytest.mark.parametrize("empty", EMPTY, ids=lambda empty: type(empty).__name__)
@pytest.mark.parametrize(
    "argument",
    [*("target", "catalog", "observation", "instrument", "photometry", "processing"), "sector"],
)
def test_an_empty_list_is_refused_and_never_means_everything(argument: str, empty: Any) -> None:
    given: dict[str, Any] = {argument: empty}
    with pytest.raises(ValueError, match=f"{argument} must not be an empty list"):
        criteria(**given)


# Objects


@pytest.fixture
def stored(session: orm.Session) -> dict[str, Any]:
    mission = Mission(name="TESS", time_epoch=2457000, time_format_name="btjd")
    catalog = MissionCatalog(name="TIC", host_mission=mission)
    target = Target(catalog=catalog, name=5)
    instrument = Instrument(name="Camera 1")
    observation = TESSObservation(sector=1, cadence_reference=np.arange(2), instrument=instrument)
    photometry = PhotometricSource(name="SAP")
    processing = ProcessingMethod(name="PDCSAP")
    things = {
        "catalog": catalog,
        "target": target,
        "instrument": instrument,
        "observation": observation,
        "photometry": photometry,
        "processing": processing,
    }
    session.add_all(things.values())
    session.flush()
    return things


def test_objects_are_understood(stored: dict[str, Any]) -> None:
    found = criteria(**stored)
    assert found.target_ids == (stored["target"].id,)
    assert found.numbers is None
    assert found.observations == (stored["observation"].id,)
    assert found.instruments == (stored["instrument"].id,)
    assert (found.catalogs, found.photometry, found.processing) == (("TIC",), ("SAP",), ("PDCSAP",))


def test_objects_are_understood_in_lists(stored: dict[str, Any]) -> None:
    listed: dict[str, Any] = {name: [thing] for name, thing in stored.items()}
    assert criteria(**listed) == criteria(**stored)


@pytest.mark.parametrize("argument", ["target", "observation", "instrument"])
def test_an_unsaved_object_is_refused_with_the_remedy(argument: str) -> None:
    new: dict[str, Any] = {
        "target": Target(name=1),
        "observation": TESSObservation(sector=1),
        "instrument": Instrument(name="x"),
    }
    with pytest.raises(ValueError, match="has not been stored yet; flush the session"):
        criteria(**{argument: new[argument]})


def test_numbers_and_objects_are_not_mixed(stored: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="not a mixture"):
        criteria([stored["target"], 5])


# Observations


@pytest.mark.parametrize(("given", "ids"), [(3, (3,)), ([1, np.int64(2)], (1, 2)), ({4}, (4,))])
def test_observations_are_compared_by_id(given: Any, ids: tuple[int, ...]) -> None:
    assert criteria(observation=given).observations == ids


def test_a_class_of_observations_selects_its_type() -> None:
    assert criteria(observation=TESSObservation).types == ("tess_observation",)
    both = criteria(observation=[TESSObservation, KeplerObservation]).types
    assert both == ("tess_observation", "kepler_observation")


def test_the_base_class_selects_every_type_including_unknown_ones() -> None:
    assert criteria(observation=Observation).types == ()


@pytest.mark.parametrize("given", ["sector 1", 1.0, True, Target, len], ids=repr)
def test_a_value_that_is_not_an_observation_is_refused_by_name(given: Any) -> None:
    with pytest.raises(TypeError, match="observation must be an id"):
        criteria(observation=given)


# Names


@pytest.mark.parametrize("argument", ["catalog", "instrument", "photometry", "processing"])
@pytest.mark.parametrize("given", [1, 2.5, True, b"SAP", len], ids=repr)
def test_a_value_that_is_not_a_name_is_refused_by_name(argument: str, given: Any) -> None:
    with pytest.raises(TypeError, match=f"{argument} must be a name"):
        criteria(**{argument: given})


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("raw", (None,)),
        ("RAW", (None,)),
        (["raw", "PDCSAP"], (None, "PDCSAP")),
        ("PDCSAP", ("PDCSAP",)),
        (None, ()),
    ],
)
def test_raw_is_not_a_processing(given: Any, names: tuple[str | None, ...]) -> None:
    assert criteria(processing=given).processing == names


def test_an_instrument_may_be_an_id() -> None:
    id_ = uuid.uuid4()
    assert criteria(instrument=[id_, "CCD 2"]).instruments == (id_, "CCD 2")


# Fields of observations


@pytest.mark.parametrize(
    ("given", "values"),
    [
        (1, (1,)),
        ([1, 2], (1, 2)),
        (range(1, 4), (1, 2, 3)),
        (np.int16(4), (4,)),
        (np.array([1, 2]), (1, 2)),
        (np.float64(3), (3,)),
        (pd.Series([7]), (7,)),
        ([1, None], (1, None)),
        (None, (None,)),
    ],
    ids=repr,
)
def test_a_field_takes_a_value_a_list_or_none(given: Any, values: tuple[Any, ...]) -> None:
    assert criteria(sector=given).fields == {"sector": values}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sector", "one"),
        ("sector", "1"),
        ("sector", True),
        ("sector", [1, "2"]),
        ("author", 5),
        ("author", b"QLP"),
        ("cosmic_ray_mitigation", 1),
        ("cosmic_ray_mitigation", "yes"),
        ("sector", uuid.UUID(int=0)),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_before_a_statement_is_sent(
    field: str, value: Any
) -> None:
    with pytest.raises(TypeError, match=f"{field} must be (int|str|bool), a list of these or None"):
        criteria(**{field: value})


@pytest.mark.parametrize("value", [1, 1.0, decimal.Decimal(1), np.float32(1)])
def test_a_number_is_a_number(value: Any) -> None:
    assert criteria(sector=value).fields["sector"] == (1,)


def test_an_unknown_argument_is_refused_with_those_that_are_valid() -> None:
    with pytest.raises(TypeError) as raised:
        criteria(1, sektor=1)
    message = str(raised.value)
    assert message.startswith("search() got an unknown argument 'sektor'; it takes target, catalog")
    for valid in ("instrument", "photometry", "processing", "sector", "author", "quarter"):
        assert valid in message


@pytest.mark.parametrize("argument", ["cadence_reference", "spacecraft_quaternion", "id", "type"])
def test_fields_that_cannot_be_compared_are_not_arguments(argument: str) -> None:
    assert argument not in observation_fields()
    given: dict[str, Any] = {argument: 1}
    with pytest.raises(TypeError, match=f"unknown argument '{argument}'"):
        criteria(**given)


def test_an_unknown_argument_is_reported_with_the_name_of_the_method() -> None:
    with pytest.raises(TypeError) as raised:
        criteria(1, photometry="SAP", caller="frames()", without=("target", "photometry"))
    assert str(raised.value).startswith("frames() got an unknown argument 'target'; it takes catal")
