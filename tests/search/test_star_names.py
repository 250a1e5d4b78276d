"""Names of stars, with astroquery as the client of a local server that is MAST's resolver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lcdb_notebook as lcdb
from lcdb_notebook.errors import ArgumentError, NameNotFoundError, TargetNotFoundError
from lcdb_notebook.search import star_names

FILES = (
    "spoc/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits.gz",
    "kepler/kplr011446443-2009131105131_llc.fits.gz",
)
PI_MEN, TRES_2 = 261136679, 11446443


@pytest.fixture(scope="module", autouse=True)
def stars(served: Any) -> None:
    served.stars = {
        "pi men": (84.291198, -80.469143),
        "tres-2": (286.808542, 49.316407),
        "wasp-4": (353.562862, -42.061776),
    }


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str], data_folder: Path) -> Iterator[Any]:
    with lcdb.connect(new_tables(), write=True) as db:
        db.ingest([data_folder / name for name in FILES], progress=False)
        yield db


@pytest.mark.parametrize(
    ("name", "target"), [("pi Men", PI_MEN), ("PI MEN", PI_MEN), ("TrES-2", TRES_2)]
)
@pytest.mark.parametrize("how", ["", "slow"])
def test_search_finds_the_position_of_a_name_at_mast(
    db: Any, archive: Any, name: str, target: int, how: str
) -> None:
    archive.spoilt[name] = [how]
    found = db.search(name, processing="PDCSAP")
    assert found.table["target"].tolist() == [target]
    assert len(archive.requests) == 1
    assert db.lightcurve(name, processing="raw").meta["TARGETID"] == target
    assert len(db.search([name], author=["SPOC", "Kepler"])) == 2


@pytest.mark.usefixtures("archive")
def test_search_of_a_star_that_is_elsewhere_names_its_position(db: Any) -> None:
    with pytest.raises(TargetNotFoundError, match="no target within 10 arcsec of 23h34m15"):
        db.search("WASP-4")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("half", "ChunkedEncodingError"),
        ("broken", "JSONDecodeError"),
        ("refused", "HTTPError"),
        ("silent", "MAST did not answer within 0.2 s"),
    ],
)
def test_search_of_a_name_without_an_answer_explains_what_to_do(
    db: Any, archive: Any, monkeypatch: pytest.MonkeyPatch, how: str, reason: str
) -> None:
    archive.spoilt["pi Men"] = [how]
    if how == "silent":
        monkeypatch.setattr(star_names, "_TIMEOUT", 0.2)
    with pytest.raises(ArgumentError, match="'pi Men' is not a catalog number") as caught:
        db.search("pi Men")
    assert "Catalogs.query_object('pi Men'" in str(caught.value)
    assert str(caught.value).endswith(f"Its position is unknown ({reason})")


@pytest.mark.usefixtures("archive")
def test_search_of_a_name_that_mast_does_not_know(db: Any) -> None:
    with pytest.raises(ArgumentError, match=r'unknown \(Could not resolve "pi Mne" to a sky'):
        db.search("pi Mne")
    # It may be a misspelt catalog.
    with pytest.raises(NameNotFoundError, match="no catalog named 'TCI'; available: 'TIC', 'KIC'"):
        db.search(f"TCI {PI_MEN}").lightcurve()


@pytest.mark.parametrize(
    "target", [PI_MEN, f"tic {PI_MEN}", "84.291198 -80.469143", "84.291198, -80.469143",
               "05h37m09.888s -80d28m08.91s", "05:37:09.888 -80:28:08.91"],
)  # fmt: skip
def test_search_by_number_or_coordinates_requests_nothing(
    db: Any, archive: Any, target: Any
) -> None:
    assert set(db.search(target).table["target"]) == {PI_MEN}
    assert archive.requests == []


@pytest.mark.parametrize("layout", ["2.x"], indirect=True)
def test_search_of_a_name_in_databases_without_positions_requests_nothing(
    layout_dsn: str, archive: Any
) -> None:
    with (
        lcdb.connect(layout_dsn) as db,
        pytest.raises(ArgumentError, match=r"'pi Men' is not a catalog number; .*'TIC'\)\['ID'\]"),
    ):
        db.search("pi Men")
    assert archive.requests == []
