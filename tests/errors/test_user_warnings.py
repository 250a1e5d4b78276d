"""Warnings point at the line of the caller, from any depth inside the package."""

from __future__ import annotations

import warnings
from types import ModuleType

import pytest

from lcdb_notebook.errors.user_warnings import warn


def inside(source: str) -> ModuleType:
    """A module that counts as part of the package."""
    module = ModuleType("lcdb_notebook.somewhere")
    exec(compile(source, "somewhere.py", "exec"), module.__dict__)
    return module


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_the_line_is_the_first_outside_of_the_package(depth: int) -> None:
    source = "from lcdb_notebook.errors.user_warnings import warn\ndef call0():\n    warn('odd')\n"
    for level in range(depth):
        source += f"def call{level + 1}():\n    call{level}()\n"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inside(source).__dict__[f"call{depth}"]()
    assert [(str(w.message), w.category, w.filename) for w in caught] == [
        ("odd", UserWarning, __file__)
    ]


def test_a_generator_points_at_the_line_that_iterates_over_it() -> None:
    source = (
        "from lcdb_notebook.errors.user_warnings import warn\n"
        "def inner():\n    yield 1\n    warn('odd')\n"
        "def outer():\n    yield from inner()\n"
    )
    with pytest.warns(UserWarning, match="odd") as caught:
        list(inside(source).__dict__["outer"]())
    assert caught[0].filename == __file__


def test_a_caller_of_a_like_name_is_outside() -> None:
    module = inside(
        "from lcdb_notebook.errors.user_warnings import warn\ndef call():\n    warn('odd')\n"
    )
    module.__dict__["__name__"] = "lcdb_notebook_of_ones_own"
    with pytest.warns(UserWarning, match="odd") as caught:
        module.__dict__["call"]()
    assert caught[0].filename == "somewhere.py"


def test_warn_works_without_a_caller_outside_the_package() -> None:
    with pytest.warns(UserWarning, match="odd"):
        warn("odd")
