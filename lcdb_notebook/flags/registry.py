"""Which flag types there are: each has a name, an IntFlag and three presets."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Self

from lcdb_notebook.errors import ConfigurationError

PRESETS = ("default", "hard", "hardest")

_MARKS = {ord(mark): None for mark in " _-"}


class QualityFlag(enum.IntFlag, boundary=enum.KEEP):
    """The class to inherit from for a mission's own flags: a bit and one sentence a member.

    Unknown bits survive every operation (``enum.KEEP``). A member may be set to another class's
    member, and then has its bit and its meaning.

    Examples
    --------
    >>> class HSTFlag(QualityFlag):
    ...     BAD_PIXEL = 4, "The pixel is known to be bad."
    ...     SATURATED = 256, "The pixel is saturated."
    >>> HSTFlag.SATURATED.meaning
    'The pixel is saturated.'
    >>> HSTFlag(256 + 2**20) == 256 + 2**20
    True
    """

    _meaning: str

    def __new__(cls, value: int, meaning: str = "") -> Self:
        """Make a member of its bit and its one sentence."""
        flag = int.__new__(cls, value)
        flag._value_ = int(value)
        flag._meaning = value.meaning if isinstance(value, QualityFlag) else meaning
        return flag

    @property
    def meaning(self) -> str:
        """One sentence a flag, in the order of the bits; unknown bits have none."""
        return " ".join(flag._meaning for flag in self if flag._meaning)


class BaseFlag(QualityFlag):
    """The bits of ``base_quality_flag``, the type for arrays without a mission of their own.

    Source: the QualityFlagArray section of LightcurveDB's ``schema.rst``.
    """

    COSMIC_RAY = 1, "A cosmic ray hit the pixels."
    SATURATION = 2, "Pixels were saturated."


@dataclass(frozen=True)
class FlagType:
    """A registered flag type."""

    name: str
    flags: type[enum.IntFlag]
    presets: Mapping[str, int]

    @cached_property
    def bits(self) -> Mapping[str, int]:
        """Bits of every preset and flag, by :func:`plain` name."""
        named = {plain(preset): value for preset, value in self.presets.items()}
        return named | {plain(flag.name or ""): flag.value for flag in self.flags}


_registered: dict[str, FlagType] = {}


def register(
    type_name: str, flag_class: type[enum.IntFlag], presets: Mapping[str, int]
) -> type[enum.IntFlag]:
    """Make a flag type known, so that its bits have names and its presets can be asked for.

    Parameters
    ----------
    type_name
        Polymorphic identity of the QualityFlagArray rows whose bits these are.
    flag_class
        An :class:`enum.IntFlag`, best a :class:`QualityFlag`, whose members have a ``meaning``.
    presets
        Bits of ``"default"``, ``"hard"`` and ``"hardest"``. ``"none"`` is always 0.

    Returns
    -------
    type[enum.IntFlag]
        ``flag_class``.

    Raises
    ------
    ConfigurationError
        If the name belongs to another class, ``flag_class`` is no IntFlag, or the presets are not
        exactly these three. Running a notebook's cell again replaces its own class.

    Examples
    --------
    >>> from lcdb_notebook import flags
    >>> class CHEOPSFlag(flags.QualityFlag):
    ...     SAA = 1, "Inside the South Atlantic Anomaly."
    >>> _ = flags.register("cheops_quality_flag", CHEOPSFlag, dict(default=1, hard=1, hardest=1))
    >>> flags.mask([0, 1], "default", "cheops_quality_flag").tolist()
    [False, True]
    """
    as_given: object = flag_class
    if not (isinstance(as_given, type) and issubclass(as_given, enum.IntFlag)):
        raise ConfigurationError(
            f"flag type {type_name!r} was given {flag_class!r}; its flags must be an enum.IntFlag, "
            "for example a subclass of lcdb_notebook.flags.QualityFlag"
        )
    if set(presets) != set(PRESETS):
        raise ConfigurationError(
            f"flag type {type_name!r} was given presets {sorted(presets)}; it needs exactly "
            f"{', '.join(PRESETS)} ('none' is always 0)"
        )
    known = _registered.get(type_name)
    if known is not None and _full_name(known.flags) != _full_name(flag_class):
        raise ConfigurationError(
            f"flag type {type_name!r} is already {_full_name(known.flags)}; "
            f"register {_full_name(flag_class)} under a name of its own"
        )
    bits = {"none": 0} | {preset: int(presets[preset]) for preset in PRESETS}
    _registered[type_name] = FlagType(type_name, flag_class, MappingProxyType(bits))
    return flag_class


def types() -> tuple[str, ...]:
    """Names of the registered flag types, in the order of registration.

    Examples
    --------
    >>> "tess_quality_flag" in types()
    True
    """
    return tuple(_registered)


def flag_class(type_name: str) -> type[enum.IntFlag]:
    """Return the IntFlag of a flag type.

    Raises
    ------
    ConfigurationError
        If nothing is registered under that name; the message tells how to.

    Examples
    --------
    >>> flag_class("base_quality_flag").COSMIC_RAY.value
    1
    """
    return required(type_name).flags


def presets(type_name: str) -> Mapping[str, int]:
    """Return the bits of ``"none"``, ``"default"``, ``"hard"`` and ``"hardest"``, read-only.

    Raises
    ------
    ConfigurationError
        If nothing is registered under that name; the message tells how to.

    Examples
    --------
    >>> dict(presets("tess_quality_flag"))
    {'none': 0, 'default': 17087, 'hard': 24319, 'hardest': 65535}
    """
    return required(type_name).presets


def found(type_name: str) -> FlagType | None:
    """Return a registered type, or None: its bits can still be told apart, only not named."""
    return _registered.get(type_name)


def required(type_name: str) -> FlagType:
    """Return a registered type, or raise ConfigurationError."""
    known = _registered.get(type_name)
    if known is None:
        raise ConfigurationError(
            f"flag type {type_name!r} has no named flags and no presets; there are "
            f"{', '.join(nearest_first(type_name, types()))}. Use 'none' or an integer, or name "
            f"its bits with lcdb_notebook.flags.register({type_name!r}, IntFlag, "
            "dict(default=..., hard=..., hardest=...))"
        )
    return known


def plain(name: str) -> str:
    """Write a name so that case, spaces, hyphens and underscores do not matter."""
    return name.upper().translate(_MARKS)


def nearest_first(word: str, choices: tuple[str, ...]) -> list[str]:
    """Sort choices by likeness to a misspelt word, ignoring case; ties keep their order."""

    def unlikeness(choice: str) -> float:
        return -difflib.SequenceMatcher(None, word.upper(), choice.upper()).ratio()

    return sorted(choices, key=unlikeness)


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


# schema.rst ranks neither bit, so every preset that masks at all masks both.
register("base_quality_flag", BaseFlag, {"default": 3, "hard": 3, "hardest": 3})
