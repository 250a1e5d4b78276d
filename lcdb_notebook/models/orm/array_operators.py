"""The operators of array columns in queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import operators

__all__ = ["ArrayOperators"]

if TYPE_CHECKING:
    _Operators = postgresql.ARRAY.Comparator[Any]
else:
    # Not a generic class at run time in the oldest supported SQLAlchemy.
    _Operators = postgresql.ARRAY.Comparator


class ArrayOperators(_Operators):
    """Operators of SQLAlchemy's PostgreSQL ARRAY, with ``any`` and ``all`` that do not warn."""

    __slots__ = ()

    def any(self, other: Any, operator: Any = None) -> sa.ColumnElement[bool]:
        """Return SQL for ``other = ANY (array)``.

        Parameters
        ----------
        other : object
            A number or an expression.
        operator : callable, optional
            A function such as ``operator.lt`` or of ``sqlalchemy.sql.operators``; None is ``==``.
        """
        result: sa.ColumnElement[bool] = (operator or operators.eq)(
            self._item(other), sa.any_(self.expr)
        )
        return result

    def all(self, other: Any, operator: Any = None) -> sa.ColumnElement[bool]:
        """Return SQL for ``other = ALL (array)``.

        Parameters
        ----------
        other : object
            A number or an expression.
        operator : callable, optional
            A function such as ``operator.lt`` or of ``sqlalchemy.sql.operators``; None is ``==``.
        """
        result: sa.ColumnElement[bool] = (operator or operators.eq)(
            self._item(other), sa.all_(self.expr)
        )
        return result

    def _item(self, other: Any) -> sa.ColumnElement[Any]:
        if isinstance(other, sa.ClauseElement):
            return other  # type: ignore[return-value]
        return sa.literal(other, self.type.item_type)
