"""The public surface: what ``lcdb_notebook`` exports, and the tree of its errors."""

from __future__ import annotations

import re

import pytest

import lcdb_notebook
from lcdb_notebook import errors


def drawn_tree() -> dict[str, str]:
    """Read the tree in the docstring of ``errors``: each error's name and its parent's."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for found in re.finditer(r"^([ │├└─]+)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE):
        indent, name = len(found[1]), found[2]
        above = [(column, parent) for column, parent in above if column < indent]
        parents[name] = above[-1][1] if above else "Exception"
        above.append((indent, name))
    return parents


def test_the_exported_names_are_sorted_and_named_once() -> None:
    names = list(lcdb_notebook.__all__)
    # Constants first, as ruff sorts them.
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), name))


def test_every_exported_name_is_there() -> None:
    missing = [name for name in lcdb_notebook.__all__ if not hasattr(lcdb_notebook, name)]
    assert not missing


@pytest.mark.parametrize("name", ["connect", "errors", "flags", "models"])
def test_the_names_that_the_design_fixes_are_exported(name: str) -> None:
    assert name in lcdb_notebook.__all__


def test_dir_lists_exactly_the_exported_names() -> None:
    assert set(dir(lcdb_notebook)) == {*lcdb_notebook.__all__, "__version__"}
    for name in ("errors", "flags", "models", "plot"):
        module = getattr(lcdb_notebook, name)
        assert set(dir(module)) == set(module.__all__)


def test_the_tree_in_the_docstring_has_all_errors() -> None:
    assert sorted(drawn_tree()) == sorted(errors.__all__)


@pytest.mark.parametrize(("name", "parent"), drawn_tree().items())
def test_the_tree_in_the_docstring_is_that_of_the_classes(name: str, parent: str) -> None:
    error = getattr(errors, name)
    assert error.__bases__[0].__name__ == parent
    assert issubclass(error, errors.LCDBError)


def test_no_error_is_left_out_of_the_tree() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert defined == set(errors.__all__)
