"""Registered flag types: each has a name, an IntFlag and three presets."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Self

from lcdb_notebook.errors import ArgumentError

PRESETS = ("default", "hard", "hardest")

_MARKS = {ord(mark): None for mark in " _-"}


class QualityFlag(enum.IntFlag, boundary=enum.KEEP):
    """Base class of a mission's flags; each member has a bit and a description of one sentence.

    Unknown bits survive every operation (``enum.KEEP``). A member that is set to a member of
    another class has its bit and its meaning.

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
        """Create a member from its bit and its description."""
        flag = int.__new__(cls, value)
        flag._value_ = int(value)
        flag._meaning = value.meaning if isinstance(value, QualityFlag) else meaning
        return flag

    @property
    def meaning(self) -> str:
        """Descriptions of the flags, in the order of the bits, without unknown bits."""
        return " ".join(flag._meaning for flag in self if flag._meaning)


class BaseFlag(QualityFlag):
    """The bits of ``base_quality_flag``, the type of arrays without a mission.

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
    """Register the flags and presets of a flag type.

    Parameters
    ----------
    type_name : str
        Polymorphic identity of the QualityFlagArray rows with these bits.
    flag_class : type[enum.IntFlag]
        Preferably a :class:`QualityFlag`, whose members have a ``meaning``.
    presets : mapping of str to int
        Bits of ``"default"``, ``"hard"`` and ``"hardest"``. ``"none"`` is always 0.

    Returns
    -------
    type[enum.IntFlag]
        ``flag_class``.

    Raises
    ------
    ArgumentError
        If the name belongs to another class, ``flag_class`` is not an IntFlag, or the presets are
        not exactly these three. A class defined again in a notebook cell replaces the earlier one.

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
        raise ArgumentError(
            f"flag_class must be an enum.IntFlag, for example a subclass of "
            f"lcdb_notebook.flags.QualityFlag, got {flag_class!r}"
        )
    if set(presets) != set(PRESETS):
        raise ArgumentError(
            f"presets must have exactly {', '.join(PRESETS)} ('none' is always 0), got "
            f"{', '.join(sorted(presets)) or 'none of them'}"
        )
    known = _registered.get(type_name)
    if known is not None and _full_name(known.flags) != _full_name(flag_class):
        raise ArgumentError(
            f"flag type {type_name!r} already exists ({_full_name(known.flags)}); "
            f"register {_full_name(flag_class)} under another name"
        )
    bits = {"none": 0} | {preset: int(presets[preset]) for preset in PRESETS}
    _registered[type_name] = FlagType(type_name, flag_class, MappingProxyType(bits))
    return flag_class


def types() -> tuple[str, ...]:
    """Return the names of the registered flag types, in the order of registration.

    Returns
    -------
    tuple of str
        Polymorphic identities of QualityFlagArrays.

    Examples
    --------
    >>> from lcdb_notebook import flags
    >>> "tess_quality_flag" in flags.types()
    True
    """
    return tuple(_registered)


def flag_class(type_name: str) -> type[enum.IntFlag]:
    """Return the IntFlag of a flag type.

    Parameters
    ----------
    type_name : str
        Polymorphic identity of the QualityFlagArray.

    Returns
    -------
    type[enum.IntFlag]
        The class; its members are the named bits.

    Raises
    ------
    ArgumentError
        If no flag type of that name is registered; the message shows how to register one.

    Examples
    --------
    >>> from lcdb_notebook import flags
    >>> flags.flag_class("base_quality_flag").COSMIC_RAY.value
    1
    """
    return required(type_name).flags


def presets(type_name: str) -> Mapping[str, int]:
    """Return the bits of ``"none"``, ``"default"``, ``"hard"`` and ``"hardest"``.

    Parameters
    ----------
    type_name : str
        Polymorphic identity of the QualityFlagArray.

    Returns
    -------
    mapping of str to int
        Read-only.

    Raises
    ------
    ArgumentError
        If no flag type of that name is registered; the message shows how to register one.

    Examples
    --------
    >>> from lcdb_notebook import flags
    >>> dict(flags.presets("tess_quality_flag"))
    {'none': 0, 'default': 17087, 'hard': 24319, 'hardest': 65535}
    """
    return required(type_name).presets


def found(type_name: str) -> FlagType | None:
    """Return a registered type, or None; bits of other types have no names."""
    return _registered.get(type_name)


def required(type_name: str) -> FlagType:
    """Return a registered type, or raise ArgumentError."""
    known = _registered.get(type_name)
    if known is None:
        raise ArgumentError(
            f"no flag type named {type_name!r} is registered; did you mean "
            f"{', '.join(nearest_first(type_name, types()))}? Name its bits with "
            f"lcdb_notebook.flags.register({type_name!r}, IntFlag, "
            "dict(default=..., hard=..., hardest=...)), or pass 'none' or an integer"
        )
    return known


def plain(name: str) -> str:
    """Return a name without spaces, hyphens and underscores, in upper case."""
    return name.upper().translate(_MARKS)


def nearest_first(word: str, choices: tuple[str, ...]) -> list[str]:
    """Return choices by similarity to a misspelt word, ignoring case; ties keep their order."""

    def unlikeness(choice: str) -> float:
        return -difflib.SequenceMatcher(None, word.upper(), choice.upper()).ratio()

    return sorted(choices, key=unlikeness)


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


# schema.rst ranks neither bit above the other, so every preset but "none" masks both.
register("base_quality_flag", BaseFlag, {"default": 3, "hard": 3, "hardest": 3})
