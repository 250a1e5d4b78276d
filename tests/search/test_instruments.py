"""Instruments: a table, drawn as the tree that it is; a search for one finds its parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from lcdb_notebook.models import DataSet, Instrument, Mission, MissionCatalog, Observation, Target
from lcdb_notebook.search import listings, sql
from lcdb_notebook.search.criteria import criteria
from lcdb_notebook.search.instruments import InstrumentTree


@pytest.fixture
def tess(session: orm.Session) -> Instrument:
    """TESS with two cameras of two CCDs, and a light curve of each CCD."""
    mission = Mission(name="TESS", time_epoch=2457000, time_format_name="btjd")
    target = Target(name=1, catalog=MissionCatalog(name="TIC", host_mission=mission))
    tess = Instrument(name="TESS")
    for camera in (1, 2):
        above = Instrument(name=f"Camera {camera}", parent=tess)
        for ccd in (2, 1):
            part = Instrument(name=f"CCD {ccd}", parent=above)
            observation = Observation(cadence_reference=np.arange(camera), instrument=part)
            session.add(DataSet(target=target, observation=observation, values=np.ones(camera)))
    session.add_all([tess, Instrument(name="A <b>telescope</b>")])
    session.flush()
    return tess


DRAWN = """\
A <b>telescope</b>
TESS
├─ Camera 1
│  ├─ CCD 1
│  └─ CCD 2
└─ Camera 2
   ├─ CCD 1
   └─ CCD 2"""

DRAWN_NAMES = [line.lstrip("│├└─ ") for line in DRAWN.splitlines()]


@pytest.mark.usefixtures("tess")
def test_instruments_are_drawn_as_a_tree(session: orm.Session) -> None:
    table = listings.instruments(session)
    assert isinstance(table, InstrumentTree)
    assert table.drawn() == DRAWN
    page = table._repr_html_()
    assert "│  ├─ CCD 1" in page
    assert "A &lt;b&gt;telescope" in page


@pytest.mark.usefixtures("tess")
def test_instruments_are_a_dataframe_all_the_same(session: orm.Session) -> None:
    table = listings.instruments(session)
    assert list(table.columns) == ["name", "part_of", "depth", "id"]
    assert table["part_of"].tolist()[3] == "TESS / Camera 1"
    assert type(table[table["depth"] == 2]) is pd.DataFrame
    assert type(table[["name"]].head()) is pd.DataFrame
    assert "TESS" in repr(table)


def test_an_empty_list_of_instruments_has_no_tree(session: orm.Session) -> None:
    table = listings.instruments(session)
    assert table._repr_html_() == "<p>no instruments</p>"


def test_instruments_that_are_part_of_themselves_are_listed_and_named(
    session: orm.Session, tess: Instrument
) -> None:
    camera = tess.children[0]
    alone = Instrument(name="Ouroboros")
    session.add(alone)
    session.flush()
    # The ORM itself writes no circles.
    for instrument, above in ((tess, camera.children[0]), (alone, alone)):
        session.execute(
            sa.update(Instrument).where(Instrument.id == instrument.id).values(parent_id=above.id)
        )
    with pytest.warns(UserWarning, match="part of themselves") as caught:
        table = listings.instruments(session)
    message = str(caught[0].message)
    assert caught[0].filename == __file__
    first, second = camera.children[0].name, camera.name
    assert any(
        circle in message
        for circle in (
            f"{first} in {second} in TESS in {first}",
            f"{second} in TESS in {first} in {second}",
            f"TESS in {first} in {second} in TESS",
        )
    )
    assert "Ouroboros in Ouroboros" in message
    assert sorted(table["name"]) == sorted([*DRAWN_NAMES, "Ouroboros"])
    assert "Ouroboros" in table.drawn()


def test_hundreds_of_instruments_are_not_all_drawn() -> None:
    table = InstrumentTree({"name": [f"CCD {n}" for n in range(1000)], "depth": [0] * 1000})
    page = table._repr_html_()
    assert "and 800 more" in page
    assert "CCD 999" not in page


@pytest.mark.usefixtures("tess")
@pytest.mark.parametrize(
    ("instrument", "found"),
    [("TESS", 4), ("Camera 1", 2), ("Camera 2", 2), ("CCD 1", 2), (["Camera 1", "Camera 2"], 4)],
)
def test_a_search_for_an_instrument_includes_its_parts(
    session: orm.Session, instrument: str | list[str], found: int
) -> None:
    rows = session.execute(*sql.datasets(criteria(instrument=instrument))).all()
    assert len(rows) == found


def test_a_search_for_one_instrument_among_namesakes_takes_the_row(
    session: orm.Session, tess: Instrument
) -> None:
    camera = tess.children[1]
    (part, _) = camera.children
    assert len(session.execute(*sql.datasets(criteria(instrument=camera))).all()) == 2
    assert len(session.execute(*sql.datasets(criteria(instrument=part))).all()) == 1
