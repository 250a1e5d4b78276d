"""Which light curve came from which, to any depth."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import orm

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import LightCurveNotFoundError
from lcdb_notebook.lightcurve import convert
from lcdb_notebook.lightcurve.clock import Clock
from lcdb_notebook.lightcurve.record import LightCurveData, ObservationData
from lcdb_notebook.models import (
    DataSet,
    Instrument,
    Mission,
    MissionCatalog,
    Observation,
    PhotometricSource,
    ProcessingMethod,
    Target,
)
from lcdb_notebook.search.lineage import Lineage, histories, lineage, resolve_ids
from lcdb_notebook.search.lineage.graph import Row
from lcdb_notebook.search.lineage.layout import layout, lines_of

Link = tuple[int, int]

STEPS = ("SYS_RM", "DET", "DET_SML", "DET_LAG")


class Sky:
    """One star in one observation, whose DataSets are numbered by the tests."""

    def __init__(self, session: orm.Session) -> None:
        self.session = session
        mission = Mission(name="TESS", time_epoch=2457000, time_format_name="btjd")
        target = Target(name=267574918, catalog=MissionCatalog(name="TIC", host_mission=mission))
        observation = Observation(
            cadence_reference=np.arange(5), instrument=Instrument(name="Camera 4")
        )
        photometry = PhotometricSource(name="QLP SAP")
        steps = [ProcessingMethod(name=name) for name in STEPS]
        session.add_all([target, observation, photometry, *steps])
        session.flush()
        self.about = {"target": target.id, "observation": observation.id, "p": photometry.id}
        self.steps = [None, *(step.id for step in steps)]

    def make(self, count: int, links: Sequence[Link] = ()) -> None:
        """Make DataSets 1 to count, with links from source to derived."""
        self.session.execute(
            sa.text(
                "INSERT INTO dataset (id, target_id, observation_id, photometric_method_id, "
                "processing_method_id, values) SELECT i, :target, :observation, :p, "
                "(CAST(:steps AS int[]))[1 + i % 4], '{1,2,3,4,5}' FROM generate_series(1, :n) i"
            ),
            {**self.about, "n": count, "steps": [None, *self.steps[1:4]]},
        )
        self.session.execute(
            sa.text(
                "INSERT INTO datasethierarchy (source_dataset_id, child_dataset_id) "
                "SELECT * FROM unnest(CAST(:sources AS int[]), CAST(:children AS int[]))"
            ),
            {"sources": [a for a, _ in links], "children": [b for _, b in links]},
        )


@pytest.fixture
def sky(session: orm.Session) -> Sky:
    return Sky(session)


def row(id_: int, sources: Sequence[int] = (), **about: Any) -> Row:
    """Make a row of the statement."""
    usual = Row(id_, 1, "TIC", 1, "QLP SAP", STEPS[id_ % 4] if sources else None, 5, sources)
    return usual._replace(**about)


def drawn(count: int, links: Sequence[Link], asked: Sequence[int] = (1,)) -> Lineage:
    """Make a lineage without a database."""
    return Lineage([row(i, [a for a, b in links if b == i]) for i in range(1, count + 1)], asked)


def record(sky: Sky, id_: int, processing: str | None = None) -> LightCurveData:
    numbers, nothing = np.arange(5), np.full(5, np.nan)
    observation = ObservationData(sky.about["observation"], "observation", {}, ("Camera 4",))
    clock = Clock("btjd", "d", Decimal(2457000), "jd", "tdb")
    star = (id_, 267574918, "TIC", "TESS", clock, observation, "QLP SAP", processing, "")
    return LightCurveData(*star, numbers, nothing, nothing, None, {}, "mission")


CHAIN = ((1, 2), (2, 3), (3, 4))


def test_ancestors_and_descendants_are_found_to_any_depth(sky: Sky) -> None:
    sky.make(7, [*CHAIN, (2, 5), (6, 7)])
    found = lineage(sky.session, 3)
    assert found.sources() == [1, 2]
    assert found.derived() == [4]
    assert set(found.graph) == {1, 2, 3, 4}
    assert lineage(sky.session, 1).derived() == [2, 3, 4, 5]


def test_a_dataset_without_links_is_alone(sky: Sky) -> None:
    sky.make(1)
    found = lineage(sky.session, 1)
    assert (found.sources(), found.derived(), found.roots(), found.cycles) == ([], [], [1], ())


def test_a_node_has_the_fields_of_its_dataset(sky: Sky) -> None:
    sky.make(2, [(1, 2)])
    assert lineage(sky.session, 2).graph.nodes == {
        1: {
            "target": 267574918,
            "catalog": "TIC",
            "observation": sky.about["observation"],
            "photometry": "QLP SAP",
            "processing": "SYS_RM",
            "cadences": 5,
        },
        2: {**lineage(sky.session, 1).graph.nodes[2], "processing": "DET"},
    }


def test_the_lineage_of_several_is_that_of_each(sky: Sky) -> None:
    sky.make(6, [(1, 2), (3, 4), (5, 6)])
    found = lineage(sky.session, [2, 4])
    assert set(found.graph) == {1, 2, 3, 4}
    assert found.sources() == [1, 3]
    assert found.sources(4) == [3]
    assert found.asked == (2, 4)


def test_a_link_that_skips_whose_lineage_it_is_is_in_the_graph(sky: Sky) -> None:
    sky.make(3, [(1, 2), (2, 3), (1, 3)])
    assert set(lineage(sky.session, 2).graph.edges) == {(1, 2), (2, 3), (1, 3)}


def test_a_link_stored_twice_is_one(sky: Sky) -> None:
    sky.make(2, [(1, 2), (1, 2)])
    assert lineage(sky.session, 1).to_pandas()["sources"].tolist() == [(), (1,)]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_graph_without_cycles_has_the_ancestors_that_networkx_finds(
    sky: Sky, data: Any
) -> None:
    count = data.draw(st.integers(1, 12))
    names = data.draw(st.permutations(range(1, count + 1)))
    possible = list(combinations(names, 2))
    links = data.draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
    asked = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    whole = nx.DiGraph(links)
    whole.add_nodes_from(names)
    with sky.session.begin_nested() as savepoint:
        sky.make(count, links)
        found = lineage(sky.session, asked)
        savepoint.rollback()
    sources = set().union(*(nx.ancestors(whole, one) for one in asked))
    derived = set().union(*(nx.descendants(whole, one) for one in asked))
    family = whole.subgraph({*asked, *sources, *derived})
    assert set(found.graph) == set(family)
    assert set(found.graph.edges) == set(family.edges)
    assert set(found.sources()) == sources
    assert set(found.derived()) == derived
    assert found.cycles == ()
    assert set(found.roots()) == {one for one in family if not family.in_degree(one)}
    order = found.to_pandas()["dataset"].tolist()
    assert all(order.index(a) < order.index(b) for a, b in family.edges)
    assert [one for one in order if one in sources] == found.sources()
    assert found.depths == {
        one: max(
            (len(way) - 1 for root in found.roots() for way in _ways(family, root, one)), default=0
        )
        for one in family
    }


def _ways(graph: Any, start: Any, end: Any) -> Iterator[list[Any]]:
    return nx.all_simple_paths(graph, start, end) if start != end else iter([[start]])


def test_five_thousand_datasets_take_one_statement(sky: Sky, statements: list[str]) -> None:
    links = [(1 + i // 3, 2 + i) for i in range(4999)]
    sky.make(5000, links)
    statements.clear()
    found = lineage(sky.session, 1)
    assert len(statements) == 1
    assert len(found) == 5000
    assert found.graph.number_of_edges() == 4999


def test_a_chain_of_five_thousand_is_followed_to_its_end(sky: Sky) -> None:
    sky.make(5000, list(pairwise(range(1, 5001))))
    found = lineage(sky.session, 2500)
    assert found.sources() == list(range(1, 2500))
    assert found.derived() == list(range(2501, 5001))
    assert found.path(1, 5000) == list(range(1, 5001))
    text = histories(sky.session, [record(sky, 5000)])[5000]
    assert re.fullmatch(r"\.\.\. -> .* -> \(\d+ steps\) -> .*DET_SML #4999 -> .*#5000", text)
    assert len(text) < 300


# Cycles, which the package refuses to make but a database may hold.


@pytest.mark.parametrize(
    ("links", "cycles"),
    [
        ([(1, 1)], ((1,),)),
        ([(1, 2), (2, 1)], ((1, 2),)),
        ([(1, 2), (2, 3), (3, 1), (3, 4)], ((1, 2, 3),)),
        ([(1, 2), (2, 1), (2, 3), (3, 4), (4, 3)], ((1, 2), (3, 4))),
        ([(3, 2), (2, 1), (1, 3)], ((1, 3, 2),)),
    ],
)
def test_cycles_end_the_search_and_are_named(
    sky: Sky, links: list[Link], cycles: tuple[tuple[int, ...], ...]
) -> None:
    sky.make(4, links)
    found = lineage(sky.session, 1)
    assert found.cycles == cycles
    assert 1 not in found.sources()
    assert "Cycles:" in found._repr_html_()
    assert sorted(found.to_pandas()["dataset"]) == sorted(found.graph)


def test_a_lineage_with_a_cycle_is_returned(sky: Sky) -> None:
    sky.make(3, [(1, 2), (2, 1), (2, 3)])
    text = histories(sky.session, [record(sky, 3, "DET_SML")])[3]
    assert text == "QLP SAP SYS_RM #1 -> DET #2 -> DET_SML #3" or text.endswith("DET_SML #3")


# Accepted arguments


@pytest.mark.parametrize("kind", ["id", "numpy id", "DataSet", "record", "LightCurve", "list"])
def test_lineage_accepts_anything_with_a_dataset_id(sky: Sky, kind: str) -> None:
    import lightkurve

    sky.make(4, CHAIN)
    asked = {
        "id": 3,
        "numpy id": np.int64(3),
        "DataSet": sky.session.get(DataSet, 3),
        "record": record(sky, 3),
        "LightCurve": lightkurve.LightCurve(time=[1.0, 2.0], flux=[1.0, 1.0], meta={"DATASET": 3}),
        "list": [3, 3],
    }[kind]
    found = lineage(sky.session, asked)
    assert found.asked == (3,)
    assert found.sources() == [1, 2]
    assert found.path(1, asked) == [1, 2, 3]


def test_a_collection_of_light_curves_is_several() -> None:
    import lightkurve

    curves = [lightkurve.LightCurve(time=[1.0], flux=[1.0], meta={"DATASET": i}) for i in (7, 8)]
    assert resolve_ids(lightkurve.LightCurveCollection(curves)) == [7, 8]


@pytest.mark.parametrize("asked", [99, [1, 99], 0, 2**62, 2**63, -1])
def test_an_id_that_does_not_exist_is_named(sky: Sky, asked: Any) -> None:
    sky.make(1)
    unknown = asked[1] if isinstance(asked, list) else asked
    with pytest.raises(LightCurveNotFoundError, match=f"no DataSet {unknown}"):
        lineage(sky.session, asked)


@pytest.mark.parametrize("asked", ["1", 1.0, True, None, [], {"dataset": 1}])
def test_a_value_that_is_not_a_dataset_is_refused(asked: Any) -> None:
    with pytest.raises(TypeError, match="DataSet"):
        resolve_ids(asked)


def test_a_light_curve_from_elsewhere_is_refused() -> None:
    import lightkurve

    with pytest.raises(LightCurveNotFoundError, match="not read from a LightcurveDB"):
        resolve_ids(lightkurve.LightCurve(time=[1.0], flux=[1.0]))


def test_a_dataset_that_is_not_stored_yet_is_refused() -> None:
    with pytest.raises(LightCurveNotFoundError, match="not stored"):
        resolve_ids(DataSet())


# The contents of a lineage


def test_a_path_leads_from_a_source_to_what_was_derived_from_it() -> None:
    found = drawn(5, [*CHAIN, (1, 4), (1, 5)])
    assert found.path(1, 4) == [1, 4]
    assert found.path(1, 3) == [1, 2, 3]
    assert found.path(2, 2) == [2]


def test_a_path_in_the_wrong_direction_is_reported() -> None:
    found = drawn(4, [(1, 2), (1, 3)])
    with pytest.raises(LightCurveNotFoundError, match=r"other way round; use path\(1, 2\)"):
        found.path(2, 1)
    with pytest.raises(LightCurveNotFoundError, match="was not derived from") as caught:
        found.path(2, 3)
    assert "other way" not in str(caught.value)


def test_a_dataset_that_is_not_in_the_lineage_is_named() -> None:
    found = drawn(2, [(1, 2)])
    for ask in (found.sources, found.derived, found.label):
        with pytest.raises(LightCurveNotFoundError, match="DataSet 3 is not in this lineage"):
            ask(3)


def test_labels_have_photometry_processing_and_id() -> None:
    rows = [row(11, photometry="SPOC SAP"), row(12, [11], processing="PDCSAP", photometry=None)]
    found = Lineage(rows, [12])
    assert [found.label(i) for i in (11, 12)] == ["SPOC SAP / raw #11", "PDCSAP #12"]


def test_a_table_has_a_row_a_dataset() -> None:
    table = drawn(3, [(3, 1), (1, 2)], asked=[1]).to_pandas()
    assert table["dataset"].tolist() == [3, 1, 2]
    assert table["depth"].tolist() == [0, 1, 2]
    assert table["processing"].tolist() == ["raw", "DET", "DET_SML"]
    assert table["sources"].tolist() == [(), (3,), (1,)]
    assert table["asked"].tolist() == [False, True, False]
    assert {"target", "catalog", "observation", "photometry", "cadences"} <= set(table)


def test_mermaid_has_every_node_and_link_and_no_syntax_in_names() -> None:
    evil = '"] --> end; <b>`#$%'
    text = Lineage([row(1), row(2, [1], processing=evil)], [2]).to_mermaid()
    assert text.startswith("flowchart LR\n")
    assert '    d1["QLP SAP / raw #35;1"]\n' in text
    assert "    d1 --> d2\n" in text
    (label,) = re.findall(r'd2\["(.*)"\]', text)
    assert not set(label) & set('"<>`[]')
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), label) == f"QLP SAP / {evil} #2"


# Histories


def test_a_history_is_the_chain_from_raw_to_itself(sky: Sky, statements: list[str]) -> None:
    sky.make(8, [(4, 1), (1, 2), (4, 5), (8, 7)])
    records = [record(sky, 2, "DET"), record(sky, 4), record(sky, 1, "SYS_RM")]
    statements.clear()
    assert histories(sky.session, records) == {
        2: "QLP SAP raw #4 -> SYS_RM #1 -> DET #2",
        4: "QLP SAP raw #4",
        1: "QLP SAP raw #4 -> SYS_RM #1",
    }
    assert len(statements) == 1


def test_several_sources_are_in_one_step(sky: Sky) -> None:
    sky.make(12, [(4, 1), (8, 1), *((i, 2) for i in range(5, 13)), (1, 2)])
    texts = histories(sky.session, [record(sky, 1, "SYS_RM"), record(sky, 2, "DET")])
    assert texts[1] == "QLP SAP raw #4 + QLP SAP raw #8 -> SYS_RM #1"
    assert " + 6 more -> DET #2" in texts[2] or " more -> DET #2" in texts[2]


def test_no_light_curves_have_no_histories_and_cost_nothing(
    sky: Sky, statements: list[str]
) -> None:
    statements.clear()
    assert histories(sky.session, []) == {}
    assert statements == []


# How it shows


WIDE = [(1, i) for i in range(2, 7)] + [(i, i + 5) for i in range(2, 7)] + [(1, 9)]


def labels(ax: Any) -> list[Any]:
    """Return the extents of labels on the screen, each of which is inside its box."""
    from matplotlib.patches import FancyBboxPatch

    ax.figure.canvas.draw()
    extents = [text.get_window_extent() for text in ax.texts]
    frames = [p.get_window_extent() for p in ax.patches if isinstance(p, FancyBboxPatch)]
    for label, frame in zip(extents, frames, strict=True):
        assert frame.x0 <= label.x0
        assert frame.x1 >= label.x1
        assert frame.y0 <= label.y0
        assert frame.y1 >= label.y1
    return extents


@pytest.mark.parametrize(
    "found",
    [
        drawn(4, CHAIN),
        drawn(11, WIDE),
        drawn(60, [(1 + i // 4, 2 + i) for i in range(59)]),
        drawn(3, [(1, 2), (2, 3), (3, 1)]),
        drawn(1, []),
        Lineage([row(1), row(2, [1], target=5), row(3, [1], observation=7)], [3]),
    ],
    ids=["chain", "wide", "tree of 60", "cycle", "alone", "two stars"],
)
def test_every_dataset_has_a_label_and_none_overlaps_another(found: Lineage) -> None:
    ax = found.plot()
    extents = labels(ax)
    assert len(extents) == len(found)
    assert not [(a, b) for a, b in combinations(extents, 2) if a.overlaps(b)]
    width, height = ax.figure.canvas.get_width_height()
    assert all(min(e.x0, e.y0) >= 0 and e.x1 <= width and e.y1 <= height for e in extents)


def test_labels_shrink_to_fit_a_small_axes() -> None:
    from matplotlib.figure import Figure

    ax = Figure(figsize=(6, 2)).subplots()
    found = drawn(4, CHAIN)
    assert found.plot(ax) is ax
    extents = labels(ax)
    assert len(extents) == 4
    assert not [(a, b) for a, b in combinations(extents, 2) if a.overlaps(b)]


def test_sources_are_drawn_left_of_derived_datasets() -> None:
    from matplotlib.figure import Figure

    found = drawn(11, WIDE)
    ax = found.plot(Figure().subplots())
    at = {text.get_text(): text.get_position()[0] for text in ax.texts}
    assert all(at[found.label(a)] < at[found.label(b)] for a, b in found.graph.edges)


def test_a_link_that_skips_a_layer_goes_around_its_boxes() -> None:
    planned = layout(drawn(6, [(1, 2), (2, 3), (3, 4), (1, 4), (1, 5), (5, 4), (1, 6)]))
    way = planned.paths[1, 4]
    assert len(way) == 6
    for x, y in way[1:-1]:
        for id_, (middle, row) in planned.positions.items():
            if abs(x - middle) <= planned.widths[id_] / 2 + 1:
                assert abs(y - row) > planned.height / 2


def test_the_requested_dataset_is_highlighted() -> None:
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    ax = drawn(4, CHAIN, asked=[3]).plot(Figure().subplots())
    colours = [p.get_facecolor() for p in ax.patches if isinstance(p, FancyBboxPatch)]
    assert len({*colours}) == 2
    assert sum(colour == colours[2] for colour in colours) == 1


def test_boxes_name_star_and_observation_only_where_they_differ() -> None:
    from matplotlib.figure import Figure

    same = drawn(2, [(1, 2)]).plot(Figure().subplots())
    other = Lineage([row(1), row(2, [1], target=5, observation=7)], [2]).plot(Figure().subplots())
    assert "TIC" not in same.texts[0].get_text()
    assert other.texts[1].get_text() == "QLP SAP / DET_SML #2\nTIC 5, observation 7"


def test_the_notebook_gets_svg_that_loads_nothing() -> None:
    found = drawn(4, CHAIN)
    svg = found._repr_svg_()
    assert svg is not None
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    links = [value for e in root.iter() for key, value in e.attrib.items() if "href" in key]
    assert not [link for link in links if not link.startswith("#")]
    assert "<image" not in svg
    assert "url(" not in svg.replace("url(#", "")
    assert svg in found._repr_html_()
    assert found._repr_svg_() == svg


def test_names_cannot_write_into_the_page() -> None:
    evil = "<script>alert('1')</script> --> $x^2$ &"
    found = Lineage([row(1, photometry=evil), row(2, [1])], [1])
    page = found._repr_html_()
    assert "<script" not in page
    svg = found._repr_svg_()
    assert svg is not None
    ET.fromstring(svg)
    (label, _) = found.plot().texts
    assert label.get_text() == f"{evil} / raw #1"
    assert not label.get_parse_math()


@pytest.mark.parametrize(
    "shape", ["tree", *(pytest.param(shape, marks=pytest.mark.slow) for shape in ("star", "chain"))]
)
def test_thousands_are_summed_up_and_can_still_be_drawn(shape: str) -> None:
    from matplotlib import pyplot as plt

    source: dict[str, Callable[[int], int]] = {
        "tree": lambda i: 1 + i // 3,
        "star": lambda _: 1,
        "chain": lambda i: i + 1,
    }
    found = Lineage([row(1), *(row(i + 2, [source[shape](i)]) for i in range(2999))], [2])
    page = found._repr_html_()
    assert found._repr_svg_() is None
    assert "<svg" not in page
    assert len(page) < 20_000
    if shape == "star":
        assert "<td>750</td>" in page
    ax = found.plot()
    ax.figure.canvas.draw()
    assert len(ax.collections) == 3
    assert max(plt.gcf().get_size_inches()) < 15


def test_the_repr_counts() -> None:
    assert repr(drawn(4, CHAIN, asked=[2])) == (
        "<Lineage of QLP SAP / DET_SML #2 (TIC 1): 1 source, 2 derived>"
    )
    assert repr(drawn(4, CHAIN, asked=[1, 2])) == (
        "<Lineage of 2 DataSets (TIC 1): 4 in all, 1 root>"
    )
    two_stars = Lineage([row(1), row(2, [1], target=5)], [2])
    assert "TIC" not in repr(two_stars)


@pytest.mark.slow
def test_importing_it_loads_neither_networkx_nor_matplotlib() -> None:
    code = "import lcdb_notebook.search.lineage, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    assert not {b"networkx", b"matplotlib"} & {*loaded.split()}


# Light curves that carry their history


HISTORY = "QLP SAP raw #11 -> SYS_RM #12 -> " + "A step of a rather long name -> " * 9 + "DET #21"


def curve(sky: Sky, mission: str, history: str = HISTORY) -> Any:
    time = np.arange(1400.0, 1402, 0.01)
    clock = Clock(*(("bkjd", "d", Decimal(2454833)) if mission == "Kepler" else BTJD), "jd", "tdb")
    catalog = {"TESS": "TIC", "Kepler": "KIC"}.get(mission, "other")
    data = replace(
        record(sky, 21, "DET"),
        mission=mission,
        catalog=catalog,
        clock=clock,
        time=time,
        cadence=np.arange(time.size),
        flux=1 + 1e-3 * np.sin(time),
    )
    return convert.to_lightcurve(data, history=history)


BTJD = ("btjd", "d", Decimal(2457000))


@pytest.mark.parametrize("mission", ["TESS", "Kepler"])
def test_a_history_survives_a_fits_file(sky: Sky, mission: str, tmp_path: Path) -> None:
    import lightkurve

    lc = curve(sky, mission)
    assert lc.meta["LINEAGE"] == HISTORY
    file = tmp_path / "lc.fits"
    lc.to_fits(file)
    assert lightkurve.read(file).meta["LINEAGE"] == HISTORY


@pytest.mark.parametrize("mission", ["TESS", "Kepler", "other"])
def test_every_fits_file_has_the_history_in_its_primary_header(sky: Sky, mission: str) -> None:
    assert curve(sky, mission).to_fits()[0].header["LINEAGE"] == HISTORY


def test_lightkurve_itself_would_leave_it_out(sky: Sky) -> None:
    """The reason for a separate class; when this fails, it is no longer needed."""
    import lightkurve

    theirs = lightkurve.TessLightCurve(data=curve(sky, "TESS"))
    assert theirs.meta["LINEAGE"] == HISTORY
    assert "LINEAGE" not in theirs.to_fits()[0].header


@pytest.mark.parametrize(
    "change",
    [
        lambda lc: lc[10:60],
        lambda lc: lc.flatten(window_length=101),
        lambda lc: lc.bin(time_bin_size=0.1),
        lambda lc: lc.normalize().remove_outliers(),
        lambda lc: lc.append(lc.copy()),
        lambda lc: pickle.loads(pickle.dumps(lc)),
        copy.deepcopy,
    ],
    ids=["cut", "flatten", "bin", "normalize", "append", "pickle", "deepcopy"],
)
def test_light_curves_processed_by_lightkurve_keep_their_lineage(
    sky: Sky, change: Callable[[Any], Any]
) -> None:
    assert change(curve(sky, "TESS")).to_fits()[0].header["LINEAGE"] == HISTORY


def test_a_custom_history_is_written_instead(sky: Sky) -> None:
    assert curve(sky, "TESS").to_fits(LINEAGE="mine")[0].header["LINEAGE"] == "mine"
    assert "LINEAGE" not in curve(sky, "TESS", history="").to_fits()[0].header


def test_names_beyond_ascii_are_written_as_headers_can_hold_them(sky: Sky) -> None:
    lc = curve(sky, "TESS", history="Öffnung raw #1 → DET #2")
    assert lc.to_fits()[0].header["LINEAGE"] == "\\xd6ffnung raw #1 \\u2192 DET #2"


# Through the front door


@pytest.fixture(scope="module")
def db(new_tables: Callable[[], str], in_layout: Callable[[str], str]) -> Iterator[lcdb.Database]:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        demo.load(db.session, 2, sectors=[1], progress=False)
    with lcdb.connect(in_layout(url)) as db:
        yield db


def test_a_selection_has_a_lineage(db: lcdb.Database) -> None:
    found = db.search(1, exptime=1800, photometry="DEMO aperture 2px")
    whole = db.lineage(found[0])
    assert db.lineage(found).asked == tuple(found.datasets)
    if not whole.recorded:
        assert whole.sources() == whole.derived() == []
        return
    raw, cleaned, detrended = whole.path(whole.roots()[0], whole.derived()[-1])
    assert [whole.label(one).split(" / ")[1] for one in (raw, cleaned, detrended)] == [
        f"raw #{raw}",
        f"DEMO SYS_RM #{cleaned}",
        f"DEMO DET #{detrended}",
    ]


def test_a_light_curve_read_from_a_database_has_a_lineage(db: lcdb.Database) -> None:
    several = db.lightcurves(1, exptime=1800, photometry="DEMO aperture 2px")
    for lc in several:
        ids = [*db.lineage(lc).sources(), lc.meta["DATASET"]]
        names = ["DEMO aperture 2px raw", "DEMO SYS_RM", "DEMO DET"]
        steps = [f"{name} #{id_}" for name, id_ in zip(names, ids, strict=False)]
        if db.lineage(lc).recorded:
            assert lc.meta["LINEAGE"] == " -> ".join(steps)
        assert lc.meta["LINEAGE"].endswith(f" #{lc.meta['DATASET']}")
    assert db.lineage(several).asked == tuple(lc.meta["DATASET"] for lc in several)


def test_boxes_name_observations_by_the_fields_that_differ(db: lcdb.Database) -> None:
    found = db.search(1, photometry="DEMO aperture 2px", processing="raw")
    lines = lines_of(db.lineage(found))
    names = [lines[id_][1:] for id_ in found.datasets]
    assert names == [["sector 1, 1800 s"], ["sector 1, 120 s"]]


@pytest.mark.own_tables
def test_histories_are_in_the_statement_of_the_arrays(db: lcdb.Database) -> None:
    sent: list[Any] = []
    with db.trace(sent.append):
        for targets in (1, [1, 2]):
            sent.clear()
            db.lightcurves(targets, exptime=1800)
            assert [one.sql[:4] for one in sent if "datasethierarchy" in one.sql] == ["COPY"]
        sent.clear()
        list(db.search(1).read())
        assert not [one for one in sent if "datasethierarchy" in one.sql]


def test_an_empty_selection_has_no_lineage(db: lcdb.Database) -> None:
    with pytest.raises(LightCurveNotFoundError):
        db.lineage(db.search(1, sector=99))
