"""The order of the house: who may import whom, what an import costs, how long a module may be."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lcdb_notebook

PACKAGE = "lcdb_notebook"
ROOT = Path(lcdb_notebook.__file__).parent
ROOMS = (
    "errors",
    "extras",
    "driver_errors",
    "read_only",
    "config",
    "embedded",
    "clock",
    "flags",
    "wire",
    "models",
    "drift",
    "schema",
    "upgrades",
    "record",
    "interrupt",
    "connection",
    "notice",
    "progress",
    "criteria",
    "query",
    "absence",
    "instruments",
    "listing",
    "browse",
    "fetch",
    "loading",
    "assemble",
    "finding",
    "read",
    "quality",
    "convert",
    "lineage",
    "plot",
    "export",
    "mapping",
    "selection",
    "explore",
    "ingest",
    "demo",
    "database",
    "backup",
    "cli",
)
"""First-level modules and packages; each imports only from those before it."""

READ_SIDE = ROOMS[ROOMS.index("record") : ROOMS.index("explore") + 1]
MODULES = sorted(ROOT.rglob("*.py"))
LONGEST_MODULE = 320
HEAVY = ("lightkurve", "matplotlib", "ipywidgets", "astropy", "h5py", "alembic")
LONGEST_IMPORT = 1.3
"""Times what pandas and sqlalchemy take: seconds would measure the machine."""


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room(path: Path) -> str:
    """Name the room that a file of the package belongs to; ``__init__`` is the front door."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def is_for_type_checkers(node: ast.AST) -> bool:
    conditions = {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
    return isinstance(node, ast.If) and ast.unparse(node.test) in conditions


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Find what the code imports at run time, inside functions too, as absolute dotted names.

    ``from x import y`` gives ``x.y``, since ``y`` may be a module; ``package`` is the one that
    relative imports start from.
    """
    for node in ast.iter_child_nodes(tree):
        if is_for_type_checkers(node):
            assert isinstance(node, ast.If)
            for branch in node.orelse:
                yield from imports(ast.Module([branch], []), package)
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield node.lineno, argument.value
        yield from imports(node, package)


def rooms_imported(path: Path) -> Iterator[tuple[int, str]]:
    """Find the rooms of this package that a module imports, with the lines where it does."""
    package = ".".join([PACKAGE, *path.relative_to(ROOT).parent.parts])
    for line, name in imports(parse(path), package):
        first, *rest = name.split(".")
        if first == PACKAGE:
            yield line, rest[0] if rest else PACKAGE


def seconds_to_import(*modules: str, compiled: Path) -> float:
    """Time an import in a new interpreter, in seconds of processor time.

    Not of the clock on the wall: other tests run beside this one.
    """
    code = (
        f"import time; start = time.process_time(); import {', '.join(modules)}; "
        "print(time.process_time() - start)"
    )
    # What is installed has been compiled; a source tree only where that may be written into it.
    return float(_python(code, PYTHONPYCACHEPREFIX=str(compiled), PYTHONDONTWRITEBYTECODE=""))


def _python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_every_module_has_its_place_in_the_order() -> None:
    homeless = {room(path) for path in MODULES} - {*ROOMS, "__init__", "__main__"}
    assert not homeless, (
        f"put {', '.join(sorted(homeless))} into ROOMS, right of all that it imports and left of "
        "all that imports it"
    )


def test_the_order_is_the_one_that_contributors_are_told() -> None:
    text = (ROOT.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    chapter = text.split("## How the house is built")[1].split("\n- ")[0]
    drawn = [line.split() for line in chapter.splitlines() if line.startswith("    ")]
    assert [name for line in drawn for name in line] == [*ROOMS]


# The front door, __init__.py, opens on every room.
@pytest.mark.parametrize("path", [path for path in MODULES if room(path) in ROOMS], ids=label)
def test_a_module_imports_only_to_its_left(path: Path) -> None:
    allowed = {*ROOMS[: ROOMS.index(room(path)) + 1], "__version__"}
    wrong = [f"line {line}: {name}" for line, name in rooms_imported(path) if name not in allowed]
    assert not wrong, f"{label(path)} may import only {', '.join(sorted(allowed))}, not {wrong}"


@pytest.mark.parametrize("path", [p for p in MODULES if room(p) in READ_SIDE], ids=label)
def test_the_read_side_never_imports_the_write_side(path: Path) -> None:
    assert not {name for _, name in rooms_imported(path)} & {"ingest", "demo"}


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import lcdb_notebook.read", "lcdb_notebook.read"),
        ("def f():\n    from lcdb_notebook import read", "lcdb_notebook.read"),
        ("from ..read import chunks", "lcdb_notebook.read.chunks"),
        ("from . import table", "lcdb_notebook.ingest.table"),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import lcdb_notebook.cli", "lcdb_notebook.cli"),
        ("importlib.import_module('lcdb_notebook.cli')", "lcdb_notebook.cli"),
    ],
)
def test_an_import_is_found_wherever_it_hides(code: str, found: str) -> None:
    assert [name for _, name in imports(ast.parse(code), "lcdb_notebook.ingest")] == [found]


@pytest.mark.parametrize("condition", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_an_import_for_type_checkers_does_not_count(condition: str) -> None:
    code = f"if {condition}:\n    from lcdb_notebook.database import Database"
    assert not list(imports(ast.parse(code), PACKAGE))


def test_importing_the_package_loads_no_plotting_and_no_lightkurve() -> None:
    loaded = _python(f"import {PACKAGE}, sys; print(*sys.modules)").split()
    assert not {name.split(".")[0] for name in loaded} & {*HEAVY}


def test_importing_the_package_takes_little_longer_than_pandas_and_sqlalchemy(
    tmp_path: Path,
) -> None:
    _, *rounds = [
        (
            seconds_to_import(PACKAGE, compiled=tmp_path),
            seconds_to_import("pandas", "sqlalchemy", compiled=tmp_path),
        )
        for _ in range(6)
    ]
    best, floor = (min(times) for times in zip(*rounds, strict=True))
    assert best < LONGEST_IMPORT * floor, (
        f"import {PACKAGE} took {best:.2f} s, pandas and sqlalchemy alone {floor:.2f} s; "
        f"python -X importtime -c 'import {PACKAGE}' shows where it went"
    )


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_a_module_is_short_enough_to_read_in_one_sitting(path: Path) -> None:
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= LONGEST_MODULE


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_a_module_says_in_one_line_what_it_is(path: Path) -> None:
    first, *rest = (ast.get_docstring(parse(path)) or "").splitlines() or [""]
    assert first.endswith((".", "!", "?")), f"{label(path)} begins with no sentence of one line"
    assert not rest or not rest[0], f"{label(path)}: its first sentence runs over one line"
