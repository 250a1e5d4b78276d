"""Hold a string whose ``repr`` is masked."""

from __future__ import annotations

__all__ = ["Secret"]


class Secret(str):
    """A string with a masked ``repr``.

    ``str()`` returns the same object, because SQLAlchemy passes a password through ``str()`` before
    it puts it among the driver's arguments.

    Examples
    --------
    >>> {"password": Secret("hunter2")}
    {'password': '***'}
    >>> repr(str(Secret("hunter2")))
    "'***'"
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return self
