"""Public docstrings: complete by numpydoc's own checks, and in agreement with each other."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from numpydoc.docscrape import NumpyDocString  # type: ignore[import-untyped]
from numpydoc.validate import validate  # type: ignore[import-untyped]

import lcdb_notebook
from lcdb_notebook import flags, plot

# What numpydoc calls the checks: https://numpydoc.readthedocs.io/en/latest/validation.html
CHECKS = {
    "GL06",  # unknown section
    "GL07",  # wrong order of sections
    "GL08",  # no docstring
    "SS01",  # no summary
    "SS02",  # summary does not start with a capital letter
    "SS03",  # summary does not end with a period
    "SS05",  # summary starts with a verb in the third person
    "PR01",  # parameter not documented
    "PR02",  # documented parameter does not exist
    "PR03",  # wrong order of parameters
    "PR04",  # parameter has no type
    "PR07",  # parameter has no description
    "RT01",  # no section Returns
    "RT03",  # returned value has no description
    "YD01",  # no section Yields
    "EX01",  # no examples
}
# db.search(...) returns these two, and connect() the third: users do not call their constructors.
NOT_CONSTRUCTED = {"Database", "Lineage", "Selection"}
# Parameters that share a name and an annotation with others, but not the meaning.
DIFFERENT_MEANING = {
    "Database.add_frames": {"on_error"},
    "Database.ingest": {"on_error", "photometry"},
    "Database.lineage": {"of"},
    "Lineage.plot": {"ax"},
    "Selection.best": {"per"},
    "write_lightcurve": {"overwrite", "path"},
}


def public_callables() -> Iterator[tuple[str, Any]]:
    """Yield the functions and methods that users call, with their names."""
    for name in lcdb_notebook.__all__:
        value = getattr(lcdb_notebook, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for member in dir(value):
                if not member.startswith("_") and inspect.isfunction(getattr(value, member)):
                    yield f"{name}.{member}", getattr(value, member)
    for module in (plot, flags):
        for name in module.__all__:
            if inspect.isfunction(getattr(module, name)):
                yield f"{module.__name__.rpartition('.')[2]}.{name}", getattr(module, name)


def public_names() -> Iterator[str]:
    """Yield the names of all public objects: functions, classes, methods and properties."""
    yield from (name for name, _ in public_callables())
    for name in lcdb_notebook.__all__:
        value = getattr(lcdb_notebook, name)
        if inspect.isclass(value):
            yield name
            for member in dir(value):
                if not member.startswith("_") and not callable(getattr(value, member, None)):
                    kind = inspect.getattr_static(value, member)
                    if isinstance(kind, property) or hasattr(kind, "func"):
                        yield f"{name}.{member}"


def parameters(function: Callable[..., Any]) -> dict[str, tuple[str, str]]:
    """Return type and description of each documented parameter."""
    documented = NumpyDocString(inspect.getdoc(function) or "")["Parameters"]
    return {
        name.strip(): (entry.type, " ".join(" ".join(entry.desc).split()))
        for entry in documented
        for name in entry.name.split(",")
    }


def test_public_docstrings_pass_numpydoc_validation() -> None:
    offenders = []
    for name in sorted(set(public_names())):
        found = validate(f"lcdb_notebook.{name}")
        is_property = found["type"] in ("property", "cached_property")
        for code, message in found["errors"]:
            constructor = code == "PR01" and name in NOT_CONSTRUCTED
            # numpydoc expects **search : dict, and Returns for generators and attributes.
            variadic = code == "PR04" and '"**' in message
            no_return = code == "RT01" and (is_property or "Yields\n" in found["docstring"])
            if code in CHECKS and not (constructor or variadic or no_return):
                offenders.append(f"{found['file']}:{found['file_line']}: {name}: {message}")
    assert not offenders, "\n" + "\n".join(offenders)


def test_a_parameter_has_the_same_text_wherever_it_is_documented() -> None:
    texts: dict[tuple[str, str], dict[tuple[str, str], list[str]]]
    texts = defaultdict(lambda: defaultdict(list))
    for owner, function in public_callables():
        # Functions of plot describe how each of them draws.
        if owner.startswith(("plot.", "flags.")):
            continue
        signature = inspect.signature(function).parameters
        for name, text in parameters(function).items():
            if name not in DIFFERENT_MEANING.get(owner, ()):
                parameter = signature[name.lstrip("*")]
                texts[name, str(parameter.annotation)][text].append(owner)
    drifted = [
        f"{name}:\n    " + "\n    ".join(f"{owners}: {text}" for text, owners in found.items())
        for (name, _), found in texts.items()
        if len(found) > 1
    ]
    assert not drifted, "\n" + "\n".join(drifted)


def test_no_docstring_refers_elsewhere_instead_of_documenting() -> None:
    elsewhere = re.compile(
        r"\b(see|as for|parameters are those of)\s+:(func|meth|class|attr|data):", re.IGNORECASE
    )
    offenders = [
        f"{name}: {found[0]}"
        for name, function in public_callables()
        if (found := elsewhere.search(inspect.getdoc(function) or ""))
    ]
    assert not offenders, "\n" + "\n".join(offenders)
