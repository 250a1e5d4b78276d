"""The order of the house: who may import whom, what an import costs, how long a module may be."""

from __future__ import annotations

import ast
import builtins
import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx
import pytest

import lcdb_notebook

PACKAGE = "lcdb_notebook"
ROOT = Path(lcdb_notebook.__file__).parent
WINGS = (
    "errors",
    "flags",
    "lightcurve",
    "models",
    "server",
    "search",
    "plot",
    "read",
    "ingest",
    "demo",
    "explore",
    "database",
    "cli",
)
"""Directly under the package; each imports only from those before it."""

DOORS = ("__init__", "__main__")
"""Open on every wing."""

ALLOWED_CIRCLE = f"{PACKAGE}.models"
"""The table classes name each other in annotations, as SQLAlchemy expects."""

LONGEST_MODULE = 320
HEAVY = ("lightkurve", "matplotlib", "ipywidgets", "astropy", "h5py", "alembic")
LONGEST_IMPORT = 1.3
"""Times what pandas and sqlalchemy take: seconds would measure the machine."""


def module_name(path: Path) -> str:
    """Return the dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([PACKAGE, *(parts[:-1] if parts[-1] == "__init__" else parts)])


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def wing(module: str) -> str:
    """Return the wing that a module belongs to."""
    return [*module.split("."), "__init__"][1]


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Find what the code imports, inside functions and for type checkers too.

    ``from x import y`` gives ``x.y``, since ``y`` may be a module; ``package`` is the one that
    relative imports start from.
    """
    for node in ast.walk(tree):
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


@functools.cache
def modules_imported(module: str) -> list[tuple[int, str]]:
    """Find the modules of this package that one of them imports, with the lines where it does."""
    path = MODULES[module]
    package = ".".join([PACKAGE, *path.relative_to(ROOT).parent.parts])
    lines = [(line, name) for line, name in imports(parse(path), package) if _is_ours(name)]
    # A name that is not a module is defined in the one before it.
    found = [(line, name if name in MODULES else name.rpartition(".")[0]) for line, name in lines]
    return [(line, name) for line, name in found if name != module]


def _is_ours(name: str) -> bool:
    return name.split(".")[0] == PACKAGE


def circles() -> list[list[str]]:
    """Find the groups of modules that import each other, however long the way round."""
    arrows = networkx.DiGraph(
        (module, found) for module in MODULES for _, found in modules_imported(module)
    )
    return [
        sorted(group) for group in networkx.strongly_connected_components(arrows) if len(group) > 1
    ]


def seconds_to_import(*modules: str) -> float:
    """Time an import in a new interpreter, in seconds of processor time.

    Not of the clock on the wall: other tests run beside this one.
    """
    code = (
        f"import time; start = time.process_time(); import {', '.join(modules)}; "
        "print(time.process_time() - start)"
    )
    return float(_python(code, PYTHONDONTWRITEBYTECODE=""))


def _python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_order_has_a_place_for_every_wing() -> None:
    assert {wing(module) for module in MODULES} == {*WINGS, *DOORS}


def test_order_is_the_one_in_contributing() -> None:
    text = (ROOT.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    chapter = text.split("## Structure")[1]
    drawn = next(line for line in chapter.splitlines() if line.startswith("    "))
    assert drawn.split() == [*WINGS]


def test_modules_import_only_to_their_left() -> None:
    wrong = [
        f"{module}, line {line}: {found}"
        for module in MODULES
        if wing(module) not in DOORS
        for line, found in modules_imported(module)
        if wing(found) not in WINGS[: WINGS.index(wing(module)) + 1]
        and (module, found) != (f"{PACKAGE}.cli", PACKAGE)
    ]
    assert not wrong, "\n".join(["imports to the right:", *wrong])


def test_modules_do_not_import_each_other_in_circles() -> None:
    wrong = [
        group
        for group in circles()
        if not all(module.startswith(ALLOWED_CIRCLE) for module in group)
    ]
    assert not wrong, "\n".join(["circles:", *map(", ".join, wrong)])


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import lcdb_notebook.read", "lcdb_notebook.read"),
        ("def f():\n    from lcdb_notebook import read", "lcdb_notebook.read"),
        ("from ..read import chunks", "lcdb_notebook.read.chunks"),
        ("from . import table", "lcdb_notebook.ingest.table"),
        ("if TYPE_CHECKING:\n    import lcdb_notebook.cli", "lcdb_notebook.cli"),
        ("importlib.import_module('lcdb_notebook.cli')", "lcdb_notebook.cli"),
    ],
)
def test_imports_finds_an_import_wherever_it_hides(code: str, found: str) -> None:
    assert [name for _, name in imports(ast.parse(code), "lcdb_notebook.ingest")] == [found]


def test_importing_the_package_loads_no_plotting_and_no_lightkurve() -> None:
    loaded = _python(f"import {PACKAGE}, sys; print(*sys.modules)").split()
    assert not {name.split(".")[0] for name in loaded} & {*HEAVY}


@pytest.mark.slow
def test_importing_the_package_takes_little_longer_than_pandas_and_sqlalchemy() -> None:
    rounds = []
    for _ in range(15):
        rounds.append((seconds_to_import(PACKAGE), seconds_to_import("pandas", "sqlalchemy")))
        # The first round may compile. More than two others are for machines that are busy.
        best, floor = (min(times) for times in zip(*rounds[1:] or rounds, strict=True))
        if len(rounds) > 2 and best < LONGEST_IMPORT * floor:
            break
    assert best < LONGEST_IMPORT * floor, (
        f"import {PACKAGE} took {best:.2f} s, pandas and sqlalchemy alone {floor:.2f} s; "
        f"python -X importtime -c 'import {PACKAGE}' shows where it went"
    )


def test_modules_are_short_enough_to_read_in_one_sitting() -> None:
    lengths = {
        module: len(path.read_text(encoding="utf-8").splitlines())
        for module, path in MODULES.items()
    }
    assert not {module: n for module, n in lengths.items() if n > LONGEST_MODULE}


def test_modules_begin_with_a_sentence_of_one_line() -> None:
    wrong = []
    for module, path in MODULES.items():
        first, *rest = (ast.get_docstring(parse(path)) or "").splitlines() or [""]
        if not first.endswith((".", "!", "?")) or (rest and rest[0]):
            wrong.append(module)
    assert not wrong, f"no first sentence on a separate line: {', '.join(wrong)}"


# Errors


ALLOWED_ERRORS = {
    # IPython asks for another representation by this error.
    ("explore/widget/base.py", "NotImplementedError"),
}


def bare_errors(path: Path, root: Path = ROOT) -> Iterator[tuple[str, str, int]]:
    """Find where a module raises an error of Python's own, or asserts what a user could break.

    An assertion that narrows a type for mypy is neither: ``x is not None``, ``isinstance(x, y)``.
    """
    name = path.relative_to(root).as_posix()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            kind = getattr(builtins, raised.id, None) if isinstance(raised, ast.Name) else None
            if isinstance(kind, type) and issubclass(kind, Exception):
                yield name, kind.__name__, node.lineno
        elif isinstance(node, ast.Assert) and not _narrows_a_type(node.test):
            yield name, "assert", node.lineno


def _narrows_a_type(test: ast.expr) -> bool:
    if isinstance(test, ast.Call) and isinstance(test.func, ast.Name):
        return test.func.id == "isinstance"
    return isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot)


def test_every_error_that_is_raised_is_an_error_of_the_package() -> None:
    found = [
        f"{name}:{line}: {kind}"
        for path in sorted(ROOT.rglob("*.py"))
        for name, kind, line in bare_errors(path)
        if (name, kind) not in ALLOWED_ERRORS
    ]
    assert not found, "\n".join(found)


def test_documented_errors_are_errors_of_the_package() -> None:
    pattern = r"^ +((?:Type|Value|Key|Index|Attribute|Runtime)Error)\n(?= +If )"
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in MODULES.values()
        for name in re.findall(pattern, path.read_text(), re.MULTILINE)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("code", ["raise KeyError(1)", "raise ValueError", "assert 1 > 2"])
def test_bare_errors_are_found(tmp_path: Path, code: str) -> None:
    (tmp_path / "module.py").write_text(f"def f():\n    {code}\n")
    assert [line for _, _, line in bare_errors(tmp_path / "module.py", tmp_path)] == [2]
