"""Arrays: every number is returned unchanged, as numpy, and nothing else is stored."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from astropy import units
from astropy.utils.masked import Masked
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sqlalchemy import orm

from lcdb_notebook.errors import DataError, LCDBError
from lcdb_notebook.models import DataSet, Instrument, NumpyArray, Observation, Target
from lcdb_notebook.models.orm.array import as_vector, from_literal

from .conftest import Sky

F8, I8, I4 = np.dtype("f8"), np.dtype("i8"), np.dtype("i4")
AWKWARD = [0.1, -0.0, np.nan, np.inf, -np.inf, 5e-324, 1.7976931348623157e308, 2458325.123456789]


def same_bits(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    """Whether two arrays are equal, the sign of zero included; any NaN equals any NaN."""
    equal = np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return equal and bool((np.signbit(one) == np.signbit(other))[~np.isnan(one)].all())


def sent_and_back(engine: sa.Engine, value: Any, dtype: Any) -> np.ndarray[Any, Any]:
    with engine.connect() as connection:
        back = connection.scalar(sa.select(sa.literal(value, NumpyArray(dtype))))
    assert isinstance(back, np.ndarray)
    assert back.dtype == dtype
    return back


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(F8, st.integers(0, 50)))
def test_any_floats_come_back_bit_for_bit(engine: sa.Engine, floats: Any) -> None:
    assert same_bits(sent_and_back(engine, floats, F8), floats)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([I8, I4]), st.data())
def test_any_integers_come_back(engine: sa.Engine, dtype: Any, data: st.DataObject) -> None:
    integers = data.draw(hnp.arrays(dtype, st.integers(0, 50)))
    assert np.array_equal(sent_and_back(engine, integers, dtype), integers)


@pytest.mark.parametrize("dtype", [I8, I4])
def test_the_largest_and_the_smallest_integers_come_back(engine: sa.Engine, dtype: Any) -> None:
    extremes = np.array([np.iinfo(dtype).min, -1, 0, np.iinfo(dtype).max], dtype)
    assert np.array_equal(sent_and_back(engine, extremes, dtype), extremes)


def test_a_light_curve_keeps_its_awkward_numbers(sky: Sky) -> None:
    sky.raw.values = np.array(AWKWARD)
    sky.raw.errors = np.array([])
    sky.observation.cadence_reference = np.array([-(2**63), 2**63 - 1])
    sky.flags.quality_flags = np.array([2**31 - 1, -(2**31)])
    sky.session.commit()
    assert same_bits(sky.raw.values, np.array(AWKWARD))
    assert sky.raw.errors is not None
    assert (sky.raw.errors.size, sky.raw.errors.dtype) == (0, F8)
    assert sky.observation.cadence_reference.tolist() == [-(2**63), 2**63 - 1]
    assert sky.observation.cadence_reference.dtype == I8
    assert sky.flags.quality_flags.tolist() == [2**31 - 1, -(2**31)]
    assert sky.flags.quality_flags.dtype == I4
    assert sky.frame.naxis_values.tolist() == [2136, 2078]


def test_a_long_light_curve_comes_back(sky: Sky) -> None:
    flux = np.random.default_rng(1).normal(size=120_000)
    flux[::7] = np.nan
    sky.raw.values = flux
    sky.session.commit()
    assert sky.raw.values is not flux
    assert same_bits(sky.raw.values, flux)


def test_errors_may_be_null(sky: Sky) -> None:
    assert sky.detrended.errors is None
    sky.raw.errors = None
    sky.session.commit()
    assert sky.raw.errors is None


@pytest.mark.parametrize(
    "given",
    [
        [1, 2, 3],
        (1.0, 2.0, 3.0),
        np.array([1, 2, 3], ">f8"),
        np.array([1, 2, 3], ">i4"),
        np.array([1, 2, 3], "f4"),
        np.array([1, 2, 3], "u1"),
        np.array([1, 0, 2, 0, 3, 0], "f8")[::2],
        np.array([1, 2, 3]) * units.electron / units.s,
    ],
    ids=["list", "tuple", "big-endian", "big-endian i4", "float32", "u1", "strided", "Quantity"],
)
def test_an_assigned_array_is_at_once_what_will_be_read_back(sky: Sky, given: Any) -> None:
    sky.raw.values = given
    assert type(sky.raw.values) is np.ndarray
    assert (sky.raw.values.dtype, sky.raw.values.tolist()) == (F8, [1, 2, 3])
    sky.session.commit()
    assert sky.raw.values.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "masked",
    [
        np.ma.masked_array([1, 2], mask=[False, True]),
        Masked(np.array([1.0, 2.0]), mask=[False, True]),
        Masked([1.0, 2.0] * units.electron, mask=[False, True]),
        [1, None],
    ],
    ids=["numpy", "astropy", "lightkurve", "None"],
)
def test_masked_values_become_nan(masked: Any) -> None:
    assert same_bits(as_vector(masked, F8), np.array([1, np.nan]))


def test_nothing_is_copied_without_need() -> None:
    flux = np.ones(3)
    assert as_vector(flux, F8) is flux


@pytest.mark.parametrize(
    ("value", "dtype", "reason"),
    [
        ([[1.0, 2.0]], F8, r"must be one-dimensional, got an array of shape \(1, 2\)"),
        (1.0, F8, r"must be one-dimensional, got an array of shape \(\)"),
        ([[1.0], [1.0, 2.0]], F8, "must be one-dimensional"),
        (["1", "2"], F8, "must be numeric, got str"),
        ([1j], F8, "must be numeric, got complex128"),
        (np.array(["2018-08-23"], "M8[D]"), F8, "must be numeric, got datetime64"),
        ([1, "a"], F8, "must be numeric, got str"),
        ([1, object()], F8, "cannot be converted to "),
        ([2**53 + 1], F8, "float64, which cannot represent all of these values exactly"),
        (
            [1.5],
            I8,
            "int64, which cannot represent all of these values exactly: float64 from 1.5 to 1.5",
        ),
        ([np.nan], I8, "cannot represent"),
        ([2.0**63], I8, "cannot represent"),
        (np.array([2**64 - 1], "u8"), I8, "cannot represent"),
        ([2**70], I8, "cannot be converted to "),
        ([2**31], I4, "int32, which cannot represent all of these values exactly: int64"),
        ([-(2**31) - 1], I4, "cannot represent"),
        ([1, None], I8, "cannot be converted to "),
        (np.ma.masked_array([1, 2], mask=[False, True]), I4, "cannot represent masked values"),
    ],
)
def test_values_that_would_be_changed_are_refused(value: Any, dtype: Any, reason: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=reason) as error:
            as_vector(value, dtype)
    assert isinstance(error.value, ValueError)
    assert isinstance(error.value, LCDBError)


def test_a_wrong_array_is_refused_when_assigned_with_the_name_of_its_column() -> None:
    with pytest.raises(DataError, match=r"DataSet.values must be one-dimensional"):
        DataSet(values=np.ones((2, 2)))
    with pytest.raises(DataError, match=r"Observation.cadence_reference is int64"):
        Observation(cadence_reference=[1.5])


def test_a_wrong_array_in_a_query_is_refused(session: orm.Session) -> None:
    with pytest.raises(sa.exc.StatementError, match="an array column must be one-dimensional"):
        session.execute(sa.update(DataSet).values(values=np.ones((2, 2))))


def test_an_sql_expression_is_accepted_for_an_array(sky: Sky) -> None:
    sky.raw.values = sa.text("ARRAY[1, NULL, 3]::float8[]")  # type: ignore[assignment]
    sky.session.commit()
    assert same_bits(sky.raw.values, np.array([1, np.nan, 3]))


@pytest.mark.parametrize(
    ("sql", "dtype", "expected"),
    [
        ("ARRAY[1, NULL, 3]::float8[]", F8, [1, np.nan, 3]),
        ("'[5:6]={1,2}'::float8[]", F8, [1, 2]),
        ("ARRAY[0.1]::float4[]", F8, [0.1]),
        ("ARRAY[1, 2]::int2[]", I8, [1, 2]),
        ("ARRAY[0.1]::numeric[]", F8, [0.1]),
        ("'{}'::float8[]", F8, []),
        ("'{Infinity,-Infinity,NaN}'::float8[]", F8, [np.inf, -np.inf, np.nan]),
    ],
)
def test_arrays_of_another_make_are_read(
    session: orm.Session, sql: str, dtype: Any, expected: list[float]
) -> None:
    array = session.scalar(sa.select(sa.literal_column(sql, NumpyArray(dtype))))
    assert array is not None
    assert same_bits(array, np.array(expected, dtype))


@pytest.mark.parametrize(
    ("sql", "dtype", "reason"),
    [
        ("ARRAY[[1, 2], [3, 4]]::float8[]", F8, "more than one dimension"),
        ("ARRAY[1, NULL]::int4[]", I4, "NULL elements"),
        ("ARRAY[4294967296]::int8[]", I4, "int32, which cannot represent"),
        ("ARRAY[1.5]::float8[]", I8, "not int64: 1.5"),
        ("ARRAY['a']", F8, "not float64: a"),
    ],
)
def test_arrays_that_cannot_be_right_are_refused(
    session: orm.Session, sql: str, dtype: Any, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        session.scalar(sa.select(sa.literal_column(sql, NumpyArray(dtype))))


def test_an_array_parsed_by_psycopg2_is_read(session: orm.Session) -> None:
    query = sa.text("SELECT ARRAY[1.5, NULL]::float8[] AS flux").columns(flux=NumpyArray())
    (array,) = session.execute(query).one()
    assert same_bits(array, np.array([1.5, np.nan]))


def test_a_column_keeps_its_name_when_selected(sky: Sky) -> None:
    row = sky.session.execute(sa.select(DataSet.values, DataSet.errors)).first()
    assert row is not None
    assert row._fields == ("values", "errors")
    assert isinstance(row.errors, np.ndarray)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda query: sa.select(query.subquery().c["values"]),
        lambda query: sa.union_all(query, query),
        lambda query: query.distinct(),
    ],
    ids=["subquery", "union", "distinct"],
)
def test_arrays_survive_a_query_around_them(sky: Sky, wrap: Callable[[Any], Any]) -> None:
    query = sa.select(DataSet.values).where(DataSet.id == sky.raw.id)
    array: Any = sky.session.scalars(wrap(query)).first()
    assert same_bits(array, np.array([1, np.nan, 3]))


def test_other_array_columns_are_returned_as_by_sqlalchemy(session: orm.Session) -> None:
    query = sa.select(sa.literal_column("ARRAY[1, 2]", sa.ARRAY(sa.Integer)))
    assert session.scalar(query) == [1, 2]


def test_arrays_are_left_out_until_they_are_looked_at(sky: Sky, statements: list[str]) -> None:
    sky.session.expunge_all()
    target = sky.session.query(Target).filter_by(name=12345678).one()
    statements.clear()
    datasets = target.datasets
    assert not [sql for sql in statements if "values" in sql or "errors" in sql]
    statements.clear()
    assert datasets[0].values.size == 3
    assert len(statements) == 1


def test_arrays_are_left_out_of_what_a_commit_makes_load_again(
    sky: Sky, statements: list[str]
) -> None:
    assert sky.raw.values.size == 3
    sky.session.commit()
    statements.clear()
    assert sky.raw.target_id is not None
    assert statements
    assert not [sql for sql in statements if "values" in sql]


def test_a_changed_array_is_saved(sky: Sky) -> None:
    sky.raw.values = sky.raw.values * 2
    assert sky.raw in sky.session.dirty
    assert sky.session.is_modified(sky.raw)
    sky.session.commit()
    assert same_bits(sky.raw.values, np.array([2, np.nan, 6]))


@pytest.mark.parametrize("looked_at", [True, False])
def test_an_array_is_saved_over_one_that_was_never_looked_at(sky: Sky, looked_at: bool) -> None:
    sky.session.expire_all()
    if looked_at:
        assert sky.raw.values.size == 3
    sky.raw.values = np.zeros(3)
    sky.session.commit()
    assert sky.raw.values.tolist() == [0, 0, 0]


def test_an_equal_array_with_nans_changes_nothing(sky: Sky, statements: list[str]) -> None:
    sky.session.refresh(sky.raw)
    sky.raw.values = sky.raw.values.copy()
    statements.clear()
    assert not sky.session.is_modified(sky.raw)
    sky.session.flush()
    assert not statements


@pytest.mark.parametrize("scalar", [np.int64, np.int32, np.uint8, np.float64, np.float32, np.bool_])
def test_numbers_out_of_numpy_and_pandas_are_understood(
    session: orm.Session, scalar: type[np.generic]
) -> None:
    one = scalar(1)
    assert session.scalar(sa.select(sa.literal(one, sa.types.NullType()))) == 1


def test_a_target_is_found_by_a_number_out_of_an_array(sky: Sky) -> None:
    (number,) = np.array([12345678])
    assert sky.session.query(Target).filter_by(name=number).one() is sky.target


def test_json_none_is_null(sky: Sky) -> None:
    sky.session.add(Instrument(name="bare", properties={"gain": None}))
    sky.session.flush()
    count = sa.text("SELECT properties ->> 'gain' IS NULL FROM instrument WHERE name = 'bare'")
    assert sky.session.scalar(count) is True


def test_parsing_names_the_text_that_is_invalid() -> None:
    with pytest.raises(DataError, match="not float64: 1,x,3"):
        from_literal("{1,x,3}", F8)


OPERATORS: dict[str, tuple[Any, Any]] = {
    "index": (lambda a: a[2], 20.0),
    "slice": (lambda a: a[2:3], np.array([20.0, 30.0])),
    "any": (lambda a: a.any(30), True),
    "any with an operator": (lambda a: a.any(30, operator=operator.lt), False),
    "all": (lambda a: a.all(5, operator=operator.lt), True),
    "any of an expression": (lambda a: a.any(sa.literal(10.0)), True),
    "contains": (lambda a: a.contains([10, 30]), True),
    "contained by": (lambda a: a.contained_by([10, 20]), False),
    "overlap": (lambda a: a.overlap([30, 40]), True),
    "concatenation": (lambda a: a + np.array([40.0]), np.array([10.0, 20.0, 30.0, 40.0])),
}


@pytest.mark.parametrize(("expression", "expected"), OPERATORS.values(), ids=OPERATORS)
def test_numpy_array_has_the_operators_of_an_array(
    session: orm.Session, sky: Sky, expression: Callable[[Any], Any], expected: Any
) -> None:
    dataset = sky.raw
    dataset.values = np.array([10.0, 20.0, 30.0])
    session.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        query = sa.select(expression(DataSet.values)).where(DataSet.id == dataset.id)
        found: Any = session.scalar(query)
    assert type(found) is type(expected)
    assert np.array_equal(found, expected)


def test_numpy_array_is_compared_in_queries_of_the_orm(session: orm.Session, sky: Sky) -> None:
    cadence = int(sky.observation.cadence_reference[0])
    has = Observation.cadence_reference.any(cadence)  # type: ignore[arg-type]
    assert session.scalars(sa.select(Observation).where(has)).all() == [sky.observation]
    other = Observation.cadence_reference.any(cadence - 1)  # type: ignore[arg-type]
    assert not session.scalars(sa.select(Observation).where(other)).all()
