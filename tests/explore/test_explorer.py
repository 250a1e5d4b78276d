"""Explorers without a browser: what is listed, chosen, drawn, written as code, and left behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
import traitlets
from ipywidgets.widgets.widget import _instances as open_widgets

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.errors import LCDBError, StatementTimeoutError
from lcdb_notebook.explore.controls.search_text import SearchText, parse_search_text
from lcdb_notebook.explore.datasets import DataSetList, narrow
from lcdb_notebook.explore.explorer import Explorer
from lcdb_notebook.explore.figure.widget import Figure
from lcdb_notebook.explore.lineage import LineageExplorer
from lcdb_notebook.explore.targets import TargetList
from lcdb_notebook.explore.view.code import name_of, selection_code
from lcdb_notebook.explore.widget import cells
from lcdb_notebook.explore.widget.background import Debounced, Stopped, Task, Work
from lcdb_notebook.explore.widget.base import Panel
from lcdb_notebook.explore.widget.error_box import ONE_AT_A_TIME, ErrorBox, guarded, sentence
from lcdb_notebook.explore.widget.own_connection import own_connection
from lcdb_notebook.models import DataSet, DataSetHierarchy
from lcdb_notebook.search import browse
from lcdb_notebook.search.browse import TargetFilter
from lcdb_notebook.search.criteria import criteria
from lcdb_notebook.search.lazy import Search
from lcdb_notebook.search.size import Size

STARS = 8
EACH = 12  # light curves of a star at 1800 s: two sectors, two apertures, three steps


@pytest.fixture(scope="module")
def demo_dsn(new_tables: Callable[[], str]) -> str:
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        demo.load(db.session, STARS)
    return url


@pytest.fixture(scope="module")
def db(demo_dsn: str) -> Iterator[lcdb.Database]:
    with lcdb.connect(demo_dsn) as db:
        yield db


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    for widget in list(open_widgets.values()):
        widget.close()


@pytest.fixture
def targets(db: lcdb.Database) -> TargetList:
    return TargetList(db)


@pytest.fixture
def explorer(db: lcdb.Database) -> Explorer:
    return db.explore(1, sector=1, exptime=1800)


def box(part: TargetList, text: str) -> None:
    """Type into the search box."""
    part._box.value = text


def numbers(part: TargetList) -> list[int]:
    return [int(label.split()[1]) for label in part._list.options]


def number_chosen(part: TargetList) -> int | None:
    return None if part.target is None else part.target.number


def table(part: DataSetList) -> pd.DataFrame:
    assert part.selection is not None
    return part.selection.table


def choose(part: TargetList, number: int) -> None:
    """Click on a target."""
    part._list.index = numbers(part).index(number)


# What is typed


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", SearchText()),
        ("  ", SearchText()),
        ("2611", SearchText(digits="2611")),
        ("TIC 2611", SearchText(digits="2611", catalog="TIC")),
        ("TIC2611", SearchText(digits="2611", catalog="TIC")),
        ("tic", SearchText(catalog="tic")),
        ("5,", SearchText(numbers=(5,))),
        ("5 6\n7;5", SearchText(numbers=(5, 6, 7))),
        ("TIC 5, TIC 6", SearchText(numbers=(5, 6), catalog="TIC")),
        (
            "WASP-18",
            SearchText(
                mistake="'WASP-18' is not a catalog number; use 261136679 or 'TIC 261136679'"
            ),
        ),
        ("TIC 1, KIC 2", SearchText(mistake="use one catalog at a time, got TIC, KIC")),
        ("1, " + "9" * 20, SearchText(mistake=f"{'9' * 20} is too large for a catalog number")),
    ],
)
def test_digits_begin_a_number_and_several_are_a_list(text: str, read: SearchText) -> None:
    assert parse_search_text(text) == read


# Targets


def test_matches_follow_each_keystroke(targets: TargetList) -> None:
    assert numbers(targets) == list(range(1, STARS + 1))
    box(targets, "3")
    assert numbers(targets) == [3]
    box(targets, "39")
    assert numbers(targets) == []
    assert "no target" in targets._status.value
    box(targets, "demo 4, 5, 77")
    assert numbers(targets) == [4, 5]
    assert "2 targets of 3 requested" in targets._status.value


def test_a_mistyped_number_is_reported_and_the_next_keystroke_works(targets: TargetList) -> None:
    box(targets, "3-")
    assert "is not a catalog number" in targets._status.value
    assert targets.error_box.error is None
    box(targets, "3")
    assert numbers(targets) == [3]


def test_each_filter_shows_how_many_targets_it_leaves(targets: TargetList) -> None:
    box(targets, "3")
    facets = targets._filters.facets
    assert facets["sector"].options == ("any (1)", "1 (1)", "2 (1)")
    assert facets["flags"].options == ("any (1)", "with flags (1)")
    assert facets["processing"].options[1] == "raw (1)"


def test_a_filter_narrows_the_list_and_clearing_it_opens_it(targets: TargetList) -> None:
    facets = targets._filters.facets
    # Chosen before the counts arrive.
    facets["flags"].forget_counts()
    facets["flags"].index = 2
    assert numbers(targets) == []
    assert facets["flags"].options == ("any (8)", "with flags (8)", "without flags (0)")
    targets._open_all()
    assert numbers(targets) == list(range(1, STARS + 1))
    assert facets["flags"].index == 0


def test_any_field_of_observations_can_become_a_filter(targets: TargetList) -> None:
    targets._filters._further.value = "exptime"
    facet = targets._filters.facets["exptime"]
    facet.index = 1
    assert targets.target_filter.criteria.fields == {"exptime": (120,)} or facet.chosen
    assert 0 < len(numbers(targets)) < STARS or len(numbers(targets)) == STARS


def test_the_explorer_begins_at_the_requested_target(db: lcdb.Database) -> None:
    part = TargetList(db, criteria([1, 2], sector=[1, 2], processing="raw"))
    assert numbers(part) == [1, 2]
    facets = part._filters.facets
    assert facets["sector"].chosen == (1, 2)
    assert facets["sector"].options[-1] == "1 or 2"
    assert facets["processing"].chosen == (None,)
    facets["sector"].index = 0
    assert part.target_filter.criteria.fields == {}


def test_relabelling_a_filter_chooses_nothing(targets: TargetList) -> None:
    facet = targets._filters.facets["sector"]
    facet.index = 2
    seen: list[Any] = []
    facet.observe(lambda change: seen.append(change["new"]), "chosen")
    facet.show_counts({1: Size(5)}, Size(9))
    assert facet.options == ("any (9)", "1 (5)", "2 (0)")
    assert (facet.index, facet.chosen, seen) == (2, (2,), [])


def test_a_filter_offers_no_value_that_leaves_nothing(targets: TargetList) -> None:
    facet = targets._filters.facets["sector"]
    facet.show_counts({2: Size(5)}, Size(9))
    assert facet.options == ("any (9)", "2 (5)")
    facet.index = 1
    assert facet.chosen == (2,)
    facet.forget_counts()
    assert facet.options == ("any", "1", "2")
    assert (facet.index, facet.chosen) == (2, (2,))
    facet.show_counts({1: Size(0, exact=False)}, Size(9))
    assert facet.options == ("any (9)", "1 (few)", "2 (0)")


def test_arrow_keys_go_on_to_further_pages(
    targets: TargetList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lcdb_notebook.explore.targets._PAGE", 4)
    box(targets, " ")
    targets._ask()
    seen = []
    for _ in range(STARS - 1):
        targets._list.index = 0 if targets._list.index is None else targets._list.index + 1
        seen.append(number_chosen(targets))
    assert seen == list(range(1, STARS))
    for _ in range(STARS - 2):
        targets._list.index -= 1
        seen.append(number_chosen(targets))
    assert seen[STARS - 1 :] == list(range(STARS - 2, 0, -1))


def test_buttons_turn_the_pages(targets: TargetList, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lcdb_notebook.explore.targets._PAGE", 3)
    targets._ask()
    shown = [targets._where.value]
    while not targets._after.disabled:
        targets._after.click()
        shown.append(targets._where.value)
    assert shown == ["1 to 3 of 8", "4 to 6 of 8", "7 to 8 of 8"]
    targets._before.click()
    assert targets._where.value == "4 to 6 of 8"


def test_the_same_numbers_are_not_counted_twice(targets: TargetList, statements: list[str]) -> None:
    box(targets, "3")
    box(targets, "")
    statements.clear()
    box(targets, "3")
    assert len([sql for sql in statements if "set_config" not in sql]) == 1


def test_a_list_chooses_nothing_by_itself(targets: TargetList) -> None:
    assert number_chosen(targets) is None
    box(targets, "3")
    assert number_chosen(targets) == 3


# Light curves of a target


def test_one_kind_that_can_be_joined_is_chosen_first(
    db: lcdb.Database, targets: TargetList
) -> None:
    part = DataSetList(db)
    choose(targets, 1)
    part.show(targets.target)
    found = table(part)
    assert found["sector"].tolist() == [1, 2]
    assert len(set(found["exptime"])) == 1
    assert found[["photometry", "processing"]].drop_duplicates().to_numpy().tolist() == [
        ["DEMO aperture 2px", "DEMO DET"]
    ]
    assert len(part.datasets) == 2 * EACH


def test_filters_of_the_target_choose_among_its_light_curves(
    db: lcdb.Database, targets: TargetList
) -> None:
    part = DataSetList(db)
    choose(targets, 1)
    filters = criteria(sector=2, processing="raw")
    part.show(targets.target, filters)
    assert set(table(part)["sector"]) == {2}
    assert set(table(part)["processing"]) == {"raw"}


def test_a_choice_that_no_search_matches_is_a_slice_of_one(db: lcdb.Database) -> None:
    found = Search(db, criteria(1))
    with db.session_scope() as session:
        rows = found.found(session)
    for row in rows.rows:
        selection = narrow(db, rows, [row])
        assert eval(selection_code(selection), {"db": db}).datasets == [row.dataset]


def test_code_distinguishes_identical_datasets_by_position(
    new_tables: Callable[[], str],
) -> None:
    with lcdb.connect(new_tables(), write=True) as db:
        demo.load(db.session, 1)
        first = db.session.scalars(sa.select(DataSet).order_by(DataSet.id).limit(1)).one()
        twin = DataSet(
            target=first.target,
            observation=first.observation,
            photometry_source=None,
            values=first.values,
        )
        db.session.add(twin)
        db.session.flush()
        ids = [first.id, twin.id]
        db.session.commit()
        search = Search(db, criteria(1))
        with db.session_scope() as session:
            rows = search.found(session)
        for row in rows.rows:
            if row.dataset in ids:
                written = selection_code(narrow(db, rows, [row]))
                assert eval(written, {"db": db}).datasets == [row.dataset]


# Lineage


@pytest.fixture
def lineage(db: lcdb.Database) -> LineageExplorer:
    part = LineageExplorer(db)
    part.datasets = tuple(db.search(1, sector=1, exptime=1800).datasets)
    return part


def test_a_click_on_a_box_chooses_its_light_curve(lineage: LineageExplorer) -> None:
    assert lineage.lineage is not None
    for id_ in lineage.lineage.graph:
        press(lineage, id_)
        assert lineage.node == id_
        assert lineage._nodes.value == id_


def press(part: LineageExplorer, id_: Any, *, further: bool = False) -> None:
    """Click a node, as the page reports it."""
    graph = part._graph
    graph._handle_custom_msg({"choose": graph.ids.index(id_), "further": further}, [])


def test_a_click_on_a_node_of_an_earlier_graph_changes_nothing(lineage: LineageExplorer) -> None:
    lineage._graph._handle_custom_msg({"choose": 1000, "further": False}, [])
    assert lineage.node is None


def test_shift_and_a_click_draw_both_over_each_other(lineage: LineageExplorer) -> None:
    assert lineage.lineage is not None
    root = lineage.lineage.roots()[0]
    end = lineage.lineage.derived(root)[-1]
    press(lineage, end)
    press(lineage, root, further=True)
    assert (lineage.node, lineage.other) == (end, root)
    # The source is what was before, whichever was clicked first.
    labels = [curve["label"][0] for curve in lineage._both._curves]
    assert labels == ["before: raw", "after: DEMO DET", ""]
    assert lineage._both._panels[0][1]["ylabel"] == "Before / after"
    lineage._how.value = "difference"
    assert "−" in lineage._both._panels[0][1]["ylabel"]
    assert lineage.error_box.error is None


def test_light_curves_without_a_common_cadence_are_refused_in_one_sentence(
    db: lcdb.Database,
) -> None:
    part = LineageExplorer(db)
    one, other = (
        db.search(1, sector=sector, exptime=1800, processing="raw").datasets[0] for sector in (1, 2)
    )
    part.datasets = (one, other)
    press(part, one)
    press(part, part.lineage.derived(one)[0], further=True)  # type: ignore[union-attr]
    assert part._comparison.layout.display != "none"
    press(part, other, further=True)
    assert str(part.error_box.error) == (
        "the two light curves have no cadence in common; choose light curves of the same star, "
        "sector and exposure time"
    )
    # The earlier comparison is of two others.
    assert part._comparison.layout.display == "none"
    assert "compared" not in part._status.value


def test_marks_in_the_lineage_follow_the_picture(db: lcdb.Database) -> None:
    explorer = db.explore(1, exptime=1800, processing="DEMO DET")
    selection = explorer.selection
    assert selection is not None
    drawn = selection.datasets
    graph = explorer.lineage._graph
    assert len(drawn) > 1
    assert [graph.ids[number] for number in graph._shown] == drawn
    assert (explorer.lineage.node, graph._chosen) == (None, -1)
    (label,) = (label for label, id_ in explorer.lineage._nodes.options if id_ == drawn[-1])
    assert label.endswith(f" #{drawn[-1]}, sector 2, 1800 s")
    assert graph._drawn["nodes"][graph._shown[-1]]["lines"][1] == "sector 2, 1800 s"
    press(explorer.lineage, drawn[-1])
    assert explorer.dataset == drawn[-1]
    assert [graph.ids[number] for number in graph._shown] == drawn[-1:]
    explorer.selection = selection
    assert [graph.ids[number] for number in graph._shown] == drawn
    assert explorer.lineage.node is None
    explorer.close()


def test_a_light_curve_is_read_once_for_many_comparisons(
    lineage: LineageExplorer, statements: list[str]
) -> None:
    assert lineage.lineage is not None
    root = lineage.lineage.roots()[0]
    press(lineage, root)
    lineage.other = lineage.lineage.derived(root)[0]
    statements.clear()
    lineage._how.value = "difference"
    lineage._how.value = "ratio"
    assert statements == []


@pytest.mark.slow
def test_five_hundred_nodes_can_be_clicked_one_by_one(new_tables: Callable[[], str]) -> None:
    with lcdb.connect(new_tables(), write=True) as db:
        demo.load(db.session, 1, sectors=(1,))
        root = db.session.scalars(sa.select(DataSet.id).order_by(DataSet.id)).first()
        one = db.session.get(DataSet, root)
        assert one is not None
        made = [
            DataSet(target_id=one.target_id, observation_id=one.observation_id, values=one.values)
            for _ in range(500)
        ]
        db.session.add_all(made)
        db.session.flush()
        db.session.add_all(
            DataSetHierarchy(source_dataset_id=root, child_dataset_id=child.id) for child in made
        )
        db.session.commit()
        part = LineageExplorer(db)
        part.datasets = (root,)
        assert part.lineage is not None
        assert len(part.lineage) >= 500
        drawn: list[object] = []
        part._graph.observe(drawn.append, "_drawn")
        for id_ in [child.id for child in made[::50]]:
            press(part, id_)
            assert part.node == id_
            assert part._graph._chosen == part._graph.ids.index(id_)
        # What is chosen is marked, and the 500 others are not sent again.
        assert drawn == []


# Everything together


def test_a_target_that_is_chosen_is_drawn_and_written_as_code(explorer: Explorer) -> None:
    explorer.targets._filters.facets["exptime"].index = 0
    box(explorer.targets, "")
    choose(explorer.targets, 3)
    assert explorer.target is not None
    assert explorer.target.number == 3
    assert explorer.selection is not None
    assert explorer.light_curve.selection is explorer.selection
    assert explorer.code.startswith("db.search(3, ")


def test_where_it_begins_is_there_at_once_in_a_notebook_too(db: lcdb.Database) -> None:
    async def cell() -> tuple[str, int]:
        explorer = db.explore(2, sector=1, processing="raw")
        return explorer.code, len(explorer._repr_mimebundle_()["image/png"])  # type: ignore[index]

    code, size = asyncio.run(cell())
    assert code.startswith("db.search(2, ")
    assert size > 1000


SETTINGS: list[dict[str, Any]] = [
    {},
    {"quality_bitmask": "hard"},
    {"quality_bitmask": ("DESAT", "COARSE_POINT"), "normalize": True},
    {"flatten": 101},
    {"flatten": 101, "period": 3.5, "epoch": 1326.0},
    {"bin": 120.0},
]


def test_lists_mark_the_selection_that_was_assigned(explorer: Explorer, db: lcdb.Database) -> None:
    first = explorer.selection
    chosen: dict[str, Any] = {
        "exptime": 1800,
        "photometry": "DEMO aperture 2px",
        "processing": "raw",
    }
    selection = db.search(1, sector=2, **chosen)
    explorer.selection = selection
    lists = explorer.datasets._lists
    assert [[one.options[i] for i in one.index] for one in lists] == [
        ["sector 2, DEMO, 1800 s (1,200)"],
        ["DEMO aperture 2px"],
        ["raw"],
    ]
    assert explorer.datasets._status.value.count(f"1 of {2 * EACH} light curves chosen") == 1
    assert explorer.selection is selection
    assert explorer.light_curve.selection is selection
    explorer.selection = db.search(3, sector=2, **chosen)
    assert [one.index for one in lists] == [(), (), ()]
    explorer.selection = first
    assert all(one.index for one in lists)


@pytest.mark.parametrize("changes", SETTINGS, ids=str)
@pytest.mark.parametrize("sectors", [(1,), (1, 2)], ids=["one sector", "two sectors"])
@pytest.mark.filterwarnings("ignore::UserWarning:lightkurve")
def test_the_code_returns_the_light_curve_that_is_drawn(
    explorer: Explorer, db: lcdb.Database, sectors: tuple[int, ...], changes: dict[str, Any]
) -> None:
    import dataclasses

    explorer.selection = db.search(
        1, sector=list(sectors), exptime=1800, photometry="DEMO aperture 2px", processing="DEMO DET"
    )
    explorer.settings = dataclasses.replace(explorer.settings, **changes)
    given = eval(explorer.code, {"db": db, "lcdb": lcdb})
    drawn = explorer.lightcurve()
    assert type(given) is type(drawn)
    np.testing.assert_array_equal(given.time.value, drawn.time.value)
    np.testing.assert_array_equal(np.asarray(given.flux), np.asarray(drawn.flux))


def test_the_code_names_the_database_as_the_notebook_does(monkeypatch: pytest.MonkeyPatch) -> None:
    thing = object()
    shell = types.SimpleNamespace(user_ns={"_": thing, "sky": thing, "other": 1})
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    assert name_of(thing) == "sky"
    assert name_of(object()) == "db"


def test_traits_can_be_watched(explorer: Explorer) -> None:
    seen: list[tuple[str, Any]] = []
    explorer.observe(
        lambda change: seen.append((change["name"], change["new"])),
        ["selection", "dataset", "settings", "code", "target"],
    )
    explorer.lineage.node = explorer.datasets.datasets[0]
    assert {name for name, _ in seen} == {"selection", "dataset", "code"}
    assert explorer.dataset == explorer.datasets.datasets[0]
    assert explorer.selection is not None
    assert explorer.selection.datasets == [explorer.dataset]


def test_a_node_of_the_lineage_is_drawn_and_chosen_everywhere(explorer: Explorer) -> None:
    lineage = explorer.lineage.lineage
    assert lineage is not None
    for root in lineage.roots()[:3]:
        press(explorer.lineage, root)
        assert explorer.dataset == root
        assert explorer.selection is not None
        assert explorer.selection.table["processing"].tolist() == ["raw"]
        assert explorer.error_box.error is None


def test_nothing_is_queried_twice_for_one_picture(
    explorer: Explorer, statements: list[str]
) -> None:
    explorer.datasets._processing.index = (0,)
    known = len(statements)
    statements.clear()
    explorer.datasets._processing.index = (1,)
    # Its arrays are read by COPY; known data are not requested again.
    assert len(statements) <= known
    assert not [sql for sql in statements if "FROM dataset JOIN" in sql]
    statements.clear()
    explorer.settings = type(explorer.settings)(quality_bitmask="hardest")
    assert explorer.selection is not None
    assert len(explorer.selection) == 1
    assert "hardest" in explorer.code
    assert statements == []


def test_without_widgets_there_are_a_picture_and_tables(explorer: Explorer) -> None:
    bundle = explorer._repr_mimebundle_()
    assert bundle is not None
    assert set(bundle) >= {
        "application/vnd.jupyter.widget-view+json",
        "image/png",
        "text/html",
        "text/plain",
    }
    assert bundle["text/html"].count("<table") >= 2
    assert "DEMO aperture 2px" in bundle["text/html"]


# ErrorBox


class Odd(Panel):
    fails = traitlets.Bool(True)

    @guarded("do odd things")
    def do(self) -> None:
        if self.fails:
            raise ValueError("<b>odd</b>")


def test_an_exception_is_shown_in_a_sentence_and_cleared_on_success() -> None:
    part = Odd()
    part.do()
    assert isinstance(part.error_box.error, ValueError)
    shown = part.error_box._text.value
    assert "Could not do odd things: ValueError: &lt;b&gt;odd&lt;/b&gt;" in shown
    assert "Traceback" in shown
    assert part.error_box.layout.display is None
    with part.error_box.watching("do something else"):
        pass
    assert part.error_box.error is not None
    part.fails = False
    part.do()
    assert "odd" not in part.error_box._text.value
    assert part.error_box.layout.display == "none"


def test_messages_of_the_package_are_shown_without_a_class_name() -> None:
    assert sentence(LCDBError("no such thing\nand more"), "look") == "Could not look: no such thing"
    assert sentence(ValueError(), "look") == "Could not look: ValueError: no reason was given"


def test_a_lost_connection_is_reported_and_the_next_click_works(
    demo_dsn: str, engine: sa.Engine
) -> None:
    with lcdb.connect(demo_dsn) as db:
        explorer = db.explore(1, sector=1)
        with engine.connect() as connection:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                ),
                {"name": sa.make_url(demo_dsn).database},
            )
        box(explorer.targets, "3,")
        parts = (explorer, explorer.targets, explorer.datasets, explorer.light_curve)
        box(explorer.targets, "4,")
        assert explorer.target is not None
        assert explorer.target.number == 4
        assert [part.error_box.error for part in parts] == [None] * 4


def test_callbacks_of_two_threads_take_turns() -> None:
    part = Odd()

    def other_thread_may() -> bool:
        got: list[bool] = []

        def attempt() -> None:
            got.append(ONE_AT_A_TIME.acquire(blocking=False))
            if got[0]:
                ONE_AT_A_TIME.release()

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        return got[0]

    assert other_thread_may()
    with part.error_box.watching("change something"):
        meanwhile = other_thread_may()
    assert not meanwhile


# Work


def test_work_runs_in_a_thread_and_only_the_newest_result_is_used() -> None:
    async def many() -> tuple[list[int], list[str]]:
        work = Work(ErrorBox())
        results: list[int] = []
        threads: list[threading.Thread] = []
        begun, done = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        go_on = threading.Event()

        def slow(_task: Task) -> int:
            threads.append(threading.current_thread())
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(60)
            return 1

        def take(number: int) -> None:
            results.append(number)
            done.set()

        work.run(slow, take, doing="wait")
        await asyncio.wait_for(begun.wait(), 60)
        work.run(lambda _: 2, take, doing="hurry")
        go_on.set()
        await asyncio.to_thread(threads[0].join)
        await asyncio.wait_for(done.wait(), 60)
        # What the slow one has left for the loop comes before this.
        await asyncio.sleep(0)
        return results, [thread.name for thread in threads]

    assert asyncio.run(many()) == ([2], ["lcdb-explore"])


def test_stop_ends_work_and_cancels_what_it_waits_for() -> None:
    async def stop() -> tuple[bool, bool]:
        work = Work(ErrorBox())
        waiting, cancelled = threading.Event(), threading.Event()
        begun = asyncio.Event()
        work.layout.observe(lambda _: begun.set(), "display")
        got: list[int] = []
        inside = threading.Event()

        def slow(task: Task) -> int:
            with task.cancelled_by(cancelled.set):
                inside.set()
                waiting.wait(60)
            task.check()
            return 1

        work.run(slow, got.append, doing="wait")
        await asyncio.wait_for(begun.wait(), 60)
        assert inside.wait(60)
        work._button.click()
        waiting.set()
        return cancelled.is_set(), bool(got) or work.busy

    assert asyncio.run(stop()) == (True, False)


def test_long_work_shows_how_far_it_is() -> None:
    async def shown() -> tuple[str | None, float]:
        work = Work(ErrorBox())
        go = threading.Event()
        appeared = asyncio.Event()
        work.layout.observe(lambda _: appeared.set(), "display")

        def slow(task: Task) -> None:
            task.progress(0.5)
            go.wait(60)

        work.run(slow, lambda _: None, doing="find a period")
        await asyncio.wait_for(appeared.wait(), 60)
        state = (work.layout.display, work._bar.value)
        go.set()
        return state

    assert asyncio.run(shown()) == (None, 0.5)


def test_an_exception_in_a_thread_is_shown() -> None:
    async def fail() -> Exception | None:
        error_box = ErrorBox()
        displayed = asyncio.Event()
        error_box.layout.observe(lambda _: displayed.set(), "display")
        Work(error_box).run(lambda _: 1 / 0, lambda _: None, doing="divide")
        await asyncio.wait_for(displayed.wait(), 60)
        return error_box.error

    assert isinstance(asyncio.run(fail()), ZeroDivisionError)


def test_only_the_last_of_quick_changes_is_applied() -> None:
    async def hurry() -> list[int]:
        made: list[int] = []
        done = asyncio.Event()

        def call(number: int) -> None:
            made.append(number)
            done.set()

        soon = Debounced(call, 0.01)
        for number in range(5):
            soon(number)
        await asyncio.wait_for(done.wait(), 60)
        return made

    assert asyncio.run(hurry()) == [4]


def test_debounced_leading_makes_the_first_call_at_once_and_the_last_of_those_that_follow() -> None:
    async def hurry() -> tuple[list[int], list[int]]:
        made: list[int] = []
        done = asyncio.Event()

        def call(number: int) -> None:
            made.append(number)
            if number == 4:
                done.set()

        # Longer than any pause between the calls below.
        soon = Debounced(call, 1.0, leading=True)
        soon(0)
        at_once = made.copy()
        for number in range(1, 5):
            soon(number)
        await asyncio.wait_for(done.wait(), 60)
        return at_once, made

    assert asyncio.run(hurry()) == ([0], [0, 4])


def test_a_count_that_is_no_longer_needed_is_cancelled_on_the_server(demo_dsn: str) -> None:
    with lcdb.connect(demo_dsn) as db:

        async def cancel() -> bool:
            work = Work(ErrorBox())
            loop = asyncio.get_running_loop()
            begun, ended = asyncio.Event(), asyncio.Event()

            def sleep(task: Task) -> None:
                try:
                    with own_connection(db, task) as session:
                        loop.call_soon_threadsafe(begun.set)
                        session.execute(sa.text("SELECT pg_sleep(600)"))
                finally:
                    loop.call_soon_threadsafe(ended.set)

            work.run(sleep, lambda _: None, doing="sleep")
            await asyncio.wait_for(begun.wait(), 60)
            while not ended.is_set():
                # A cancel that comes before the statement hits nothing.
                if work._task is not None:
                    task = work._task
                    work.stop()
                task.stop()
                await asyncio.sleep(0)
            return True

        assert asyncio.run(asyncio.wait_for(cancel(), 120))


def test_own_connection_ends_a_statement_that_takes_too_long(demo_dsn: str) -> None:
    with lcdb.connect(demo_dsn) as db:
        task = Task(lambda _done, _text: None)
        with pytest.raises(StatementTimeoutError), own_connection(db, task, seconds=0.2) as session:
            session.execute(sa.text("SELECT pg_sleep(60)"))
        assert db.session.scalar(sa.text("SHOW statement_timeout")) == "0"


def test_own_connection_lets_explorers_query_one_after_another(demo_dsn: str) -> None:
    with lcdb.connect(demo_dsn) as db:
        first, second = (Task(lambda _done, _text: None) for _ in range(2))
        stopped = threading.Event()

        def wait() -> None:
            try:
                with own_connection(db, second):
                    pass
            except Stopped:
                stopped.set()

        with own_connection(db, first):
            waiting = threading.Thread(target=wait)
            waiting.start()
            second.stop()
            assert stopped.wait(60)
        waiting.join()
        with own_connection(db, Task(lambda _done, _text: None)) as session:
            assert session.scalar(sa.text("SELECT 1")) == 1


def test_an_explorer_and_a_stream_have_one_active_statement_together(demo_dsn: str) -> None:
    active = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'explorer and stream' AND state = 'active'"
    )
    seen: list[int] = []
    done = threading.Event()
    with lcdb.connect(demo_dsn, application_name="explorer and stream") as db:

        def explore() -> None:
            while not done.is_set():
                with own_connection(db, Task(lambda _done, _text: None)) as session:
                    session.execute(sa.text("SELECT pg_sleep(0.02)"))
                    browse.counts(session, TargetFilter(), "sector")

        def watch() -> None:
            with sa.create_engine(demo_dsn).connect() as connection:
                while not done.is_set():
                    seen.append(connection.scalar(active) or 0)
                    connection.rollback()

        threads = [threading.Thread(target=work) for work in (explore, watch)]
        for thread in threads:
            thread.start()
        try:
            while seen.count(1) < 100 and max(seen, default=0) < 2:
                assert all(thread.is_alive() for thread in threads)
                assert sum(1 for _ in db.search().read()) > 0
                db.sql("SELECT pg_sleep(0.02)")
        finally:
            done.set()
            for thread in threads:
                thread.join()
    assert max(seen) == 1


def test_counts_that_take_too_long_are_left_out(
    demo_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lcdb_notebook.explore.controls.counts._LONGEST", 1.0)
    locking = sa.create_engine(demo_dsn)
    with lcdb.connect(demo_dsn) as db, locking.begin() as connection:
        connection.execute(sa.text("LOCK TABLE dataset IN ACCESS EXCLUSIVE MODE"))
        targets = TargetList(db)
        assert targets._filters.facets["catalog"].options == ("any (8)", "DEMO (8)")
        assert targets._filters.facets["photometry"].options[0] == "any"
        assert targets.counted == 1
        targets.close()
    locking.dispose()


# Messages to the page


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[widgets.Widget]:
    """The widgets that send a message, in order."""
    senders: list[widgets.Widget] = []
    monkeypatch.setattr(
        widgets.Widget, "_send", lambda self, _msg, _buffers=None, **_how: senders.append(self)
    )
    return senders


def test_choosing_a_target_or_node_sends_the_light_curve_before_lists_and_marks(
    db: lcdb.Database, sent: list[widgets.Widget]
) -> None:
    explorer = db.explore(exptime=1800)
    figure, lists = explorer.light_curve.figure, explorer.datasets._lists
    choose(explorer.targets, 1)
    sent.clear()
    choose(explorer.targets, 2)
    assert {one for one in lists if sent.count(one) > 1} == set()
    # With its arrays, which the page asks for in a browser, two messages.
    assert sent.count(figure) == 1
    assert all(sent.index(figure) < sent.index(one) for one in lists if one in sent)
    first, *_, last = explorer.datasets.datasets
    press(explorer.lineage, first)
    sent.clear()
    press(explorer.lineage, last)
    marks = (explorer.lineage._graph, explorer.lineage._nodes, explorer.lineage._status)
    assert all(sent.index(figure) < sent.index(one) for one in marks)


def test_an_explorer_makes_the_widgets_that_are_seen_and_no_others(
    db: lcdb.Database, sent: list[widgets.Widget]
) -> None:
    before = len(open_widgets)
    explorer = db.explore(1, sector=1, exptime=1800)
    # Each costs the page about a millisecond before the first picture; there were 286.
    assert len(open_widgets) - before < 210
    assert len(sent) < 80
    assert [explorer.work.children, explorer.error_box.children] == [(), ()]
    assert sum(isinstance(one, Figure) for one in open_widgets.values()) == 1


# Manners


def test_closing_leaves_no_widget_figure_or_observer_behind(db: lcdb.Database) -> None:
    before = set(open_widgets)
    explorer = db.explore(1, sector=1)
    press(explorer.lineage, explorer.datasets.datasets[0])
    explorer.lineage.other = explorer.datasets.datasets[1]
    figures = [explorer.lineage._both, explorer.light_curve.figure]
    gone = weakref.ref(explorer)
    explorer.close()
    explorer.close()
    assert set(open_widgets) == before
    del explorer
    collect()
    assert gone() is None
    # Even if a variable still refers to a figure, it holds no arrays.
    assert [(figure.closed, figure.records) for figure in figures] == [(True, [])] * 2


def test_a_closed_explorer_holds_no_light_curve_and_reads_again_what_it_showed(
    explorer: Explorer,
) -> None:
    code, number = explorer.code, len(explorer.lightcurve())
    arrays = [weakref.ref(data.flux) for data in explorer.light_curve._records]
    explorer.close()
    # A click that was under way comes too late.
    explorer.light_curve.find_period()
    collect()
    assert [flux() for flux in arrays] == [None] * len(arrays)
    assert (explorer.code, len(explorer.lightcurve())) == (code, number)


def test_running_a_cell_again_closes_what_it_made_before(
    db: lcdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = iter(range(10**6))
    monkeypatch.setattr(cells, "_running", lambda: ("cell", str(next(request))))
    db.explore()
    collect()
    before = len(open_widgets)
    for _ in range(5):
        explorer = db.explore()
    collect()
    assert len(open_widgets) == before
    assert not explorer.closed


def test_two_explorers_of_one_run_stay_both(
    db: lcdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "_running", lambda: ("cell", "one request"))
    first, second = db.explore(), db.explore()
    assert not first.closed
    assert not second.closed


class Shell:
    """A front end that does not send the id of the running cell."""

    def __init__(self) -> None:
        self.user_ns: dict[str, Any] = {}
        self.requests = 0

    def get_parent(self) -> dict[str, Any]:
        return {"header": {"msg_id": str(self.requests)}, "metadata": {}}

    def run(self, db: lcdb.Database, *, name: str = "_", shown: bool = True) -> Explorer:
        """Run a cell that creates an explorer, which the page then shows."""
        self.requests += 1
        made = db.explore()
        self.user_ns[name] = self.user_ns.setdefault("Out", {})[self.requests] = made
        if shown:
            made._view_count = 1
        return made


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = Shell()
    monkeypatch.setattr(cells, "_shell", lambda: shell)
    monkeypatch.setattr(cells, "_without_cell", [])
    return shell


def test_replace_earlier_closes_what_no_page_shows_and_no_variable_names(
    db: lcdb.Database, shell: Shell
) -> None:
    cleared, named, shown = shell.run(db), shell.run(db, name="mine"), shell.run(db)
    waiting = shell.run(db, shown=False)
    # The page removes the output of a cell that runs again.
    cleared._view_count = named._view_count = 0
    shell.run(db)
    assert cleared.closed
    assert [one.closed for one in (named, shown, waiting)] == [False] * 3


def test_replace_earlier_keeps_a_bound_without_cell_ids(db: lcdb.Database, shell: Shell) -> None:
    made = [shell.run(db, name="first")]
    made += [shell.run(db) for _ in range(cells.MOST_OPEN + 2)]
    still_open = [number for number, one in enumerate(made) if not one.closed]
    assert still_open == [0, *range(4, cells.MOST_OPEN + 3)]


def test_replace_earlier_without_a_cell_id_releases_the_database(
    demo_dsn: str, shell: Shell
) -> None:
    databases = []
    for _ in range(cells.MOST_OPEN + 3):
        database = lcdb.connect(demo_dsn)
        shell.run(database)
        shell.user_ns.clear()
        databases.append(weakref.ref(database))
    del database
    collect()
    assert sum(one() is not None for one in databases) <= cells.MOST_OPEN


def collect() -> None:
    for _ in range(3):
        gc.collect()


def test_the_state_that_a_notebook_saves_holds_no_arrays(db: lcdb.Database) -> None:
    explorer = db.explore(1, sector=1, exptime=120)
    assert explorer.light_curve.figure.records
    states = [widget.get_state() for widget in open_widgets.values()]
    values = [value for state in states for key, value in state.items() if key[:1] != "_"]
    assert not [value for value in values if isinstance(value, bytes | memoryview)]
    described = sum(
        len(str(value))
        for state in states
        for key, value in state.items()
        if key not in ("_esm", "_module", "_css")
    )
    # 18,000 cadences would be millions.
    assert described < 600_000
    explorer.close()


def test_pyplot_has_no_open_figure(db: lcdb.Database) -> None:
    from matplotlib import pyplot as plt

    others = plt.get_fignums()
    explorer = db.explore(1, sector=1, exptime=1800)
    assert explorer.light_curve.pictures
    assert plt.get_fignums() == others


def test_every_control_is_labelled(explorer: Explorer) -> None:
    def walk(widget: widgets.Widget) -> Iterator[widgets.Widget]:
        yield widget
        for child in getattr(widget, "children", ()):
            yield from walk(child)

    controls = [
        w
        for part in (explorer.targets, explorer.datasets, explorer.lineage)
        for w in (explorer._code, *walk(part))
        if isinstance(
            w,
            widgets.Text
            | widgets.Textarea
            | widgets.Dropdown
            | widgets.Select
            | widgets.SelectMultiple
            | widgets.Button
            | widgets.ToggleButton,
        )
    ]
    assert len(controls) > 20
    assert [w for w in controls if not (w.description and w.tooltip)] == []
