"""A string with a masked ``repr``."""

from __future__ import annotations

__all__ = ["Secret"]


class Secret(str):
    """A string with a masked ``repr``.

    ``str()`` returns the same object, because SQLAlchemy calls ``str()`` on a password before it
    passes it to the driver.

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
