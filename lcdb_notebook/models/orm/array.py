"""NumpyArray: a column type that maps PostgreSQL arrays to numpy arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import psycopg2.extensions
import sqlalchemy as sa
from sqlalchemy.sql import operators
from sqlalchemy.types import Indexable, UserDefinedType

from lcdb_notebook.errors import DataError
from lcdb_notebook.models.orm.array_operators import ArrayOperators

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

_ARRAY_TYPES = {
    np.dtype(np.float64): "DOUBLE PRECISION[]",
    np.dtype(np.int64): "BIGINT[]",
    np.dtype(np.int32): "INTEGER[]",
}
_ITEM_TYPES: dict[np.dtype[Any], type[sa.types.TypeEngine[Any]]] = {
    np.dtype(np.float64): sa.Double,
    np.dtype(np.int64): sa.BigInteger,
    np.dtype(np.int32): sa.Integer,
}
_NUMBERS = "iufb"  # numpy's kinds: signed, unsigned, floating point, boolean
_EXACT_BELOW = 2.0**53  # float64 represents every smaller integer exactly


class NumpyArray(Indexable, UserDefinedType[npt.NDArray[Any]]):
    """Column type for one-dimensional numeric arrays, which are numpy arrays in Python.

    Parameters
    ----------
    dtype : dtype_like, default np.float64
        ``numpy.float64``, ``numpy.int64`` or ``numpy.int32``; the column is ``double precision[]``,
        ``bigint[]`` or ``integer[]``.

    Notes
    -----
    Arrays are selected as text, which numpy parses in one call. Otherwise psycopg2 would build a
    list with one Python object per element. NULL elements become NaN in a float array, and raise an
    error in an integer array, because integers cannot represent missing values.

    To change a stored array, assign a new one: as with every SQLAlchemy column, changes within the
    array are not detected.

    In queries, a column has the operators of SQLAlchemy's PostgreSQL ``ARRAY``: an index (from 1),
    a slice, ``any``, ``all``, ``contains``, ``contained_by``, ``overlap`` and ``+``.

    Examples
    --------
    >>> from lcdb_notebook.models import DataSet, Observation
    >>> print(sa.select(DataSet.values[1]))
    SELECT dataset.values[:values_1] AS anon_1
    FROM dataset
    >>> query = sa.select(Observation.id).where(Observation.cadence_reference.any(70444))
    """

    cache_ok = True
    comparator_factory = ArrayOperators

    # Attributes that SQLAlchemy's ARRAY operators read from the type.
    zero_indexes = False
    dimensions = 1

    def __init__(self, dtype: npt.DTypeLike = np.float64) -> None:
        self.dtype: np.dtype[Any] = np.dtype(dtype)

    @property
    def item_type(self) -> sa.types.TypeEngine[Any]:
        """Type of one element, in queries.

        Returns
        -------
        sqlalchemy.types.TypeEngine
            ``Double``, ``BigInteger`` or ``Integer``.
        """
        return _ITEM_TYPES[self.dtype]()

    def coerce_compared_value(self, op: Any, value: Any) -> sa.types.TypeEngine[Any]:
        """Return the type of a value beside the array in an expression; an index is an integer."""
        if op is operators.getitem:
            return sa.Integer()
        return self if value is None or np.ndim(value) else self.item_type

    def get_col_spec(self, **_: Any) -> str:
        """Return the name of the type in DDL."""
        return _ARRAY_TYPES[self.dtype]

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:  # noqa: ARG002
        """Return a function that writes an array as a PostgreSQL array literal."""
        dtype = self.dtype

        def process(value: Any) -> str | None:
            return None if value is None else to_literal(as_vector(value, dtype))

        return process

    def bind_expression(self, bindvalue: sa.BindParameter[Any]) -> sa.ColumnElement[Any]:
        """Cast the literal to its array type."""
        return sa.type_coerce(sa.cast(bindvalue, self), self)

    def column_expression(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Select an array as text, so that psycopg2 does not convert it to a list."""
        return sa.type_coerce(sa.cast(column, sa.Text), self)

    def result_processor(
        self,
        dialect: Dialect,  # noqa: ARG002
        coltype: object,  # noqa: ARG002
    ) -> Callable[[Any], npt.NDArray[Any] | None]:
        """Return a function that reads an array from its literal, or from a list (raw SQL)."""
        dtype = self.dtype

        def process(value: Any) -> npt.NDArray[Any] | None:
            if value is None:
                return None
            if isinstance(value, str):
                return from_literal(value, dtype)
            return as_vector(value, dtype, "the stored array")

        return process

    def compare_values(self, x: Any, y: Any) -> bool:
        """Check whether an attribute is unchanged; NaN equals NaN here."""
        if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
            return x is y
        return np.array_equal(x, y, equal_nan=self.dtype.kind == "f")


def as_vector(value: Any, dtype: np.dtype[Any], what: str = "an array column") -> npt.NDArray[Any]:
    """Convert a value to a one-dimensional array of a dtype, without changing any number.

    Parameters
    ----------
    value : array_like
        An array of any numeric dtype and byte order, a list, a Quantity (whose unit is dropped) or
        a masked array (masked elements become NaN).
    dtype : numpy.dtype
        float64, int64 or int32. Wider floats are rounded.
    what : str, default "an array column"
        Name of the value in error messages.

    Returns
    -------
    numpy.ndarray
        Array of shape (n,); the value itself if it already has this form.

    Raises
    ------
    DataError
        If the value is not one-dimensional, not numeric, or the dtype cannot represent a number.

    Examples
    --------
    >>> as_vector([1, None, 3], np.dtype(float))
    array([ 1., nan,  3.])
    """
    array = _unmasked(value, dtype, what)
    if array.ndim != 1:
        raise DataError(f"{what} must be one-dimensional, got an array of shape {array.shape}")
    if array.dtype == dtype:
        return array
    if not array.size:
        return np.empty(0, dtype)
    if array.dtype.kind == "O":
        # Python numbers of different types, possibly with None.
        try:
            array = np.array(array.tolist(), dtype)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{what} cannot be converted to {dtype.name}: {error}") from error
        return array
    if array.dtype.kind not in _NUMBERS:
        raise DataError(f"{what} must be numeric, got {array.dtype.name}")
    with np.errstate(invalid="ignore", over="ignore"):
        converted = array.astype(dtype)
    if not _same_numbers(array, converted):
        raise DataError(
            f"{what} is {dtype.name}, which cannot represent all of these values exactly: "
            f"{array.dtype.name} from {array.min()} to {array.max()}"
        )
    return converted


def _unmasked(value: Any, dtype: np.dtype[Any], what: str) -> npt.NDArray[Any]:
    mask = getattr(value, "mask", None)
    # A pandas Series has a method with this name.
    if mask is not None and not callable(mask) and np.any(mask):
        if dtype.kind != "f":
            raise DataError(f"{what} is {dtype.name}, which cannot represent masked values")
        if value.dtype.kind != "f":
            value = value.astype(np.float64)
        value = value.filled(np.nan)
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError(f"{what} must be one-dimensional: {error}") from error


def _same_numbers(array: npt.NDArray[Any], converted: npt.NDArray[Any]) -> bool:
    if converted.dtype.kind == "f":
        if array.dtype.kind in "fb" or np.abs(array.astype(np.float64)).max() < _EXACT_BELOW:
            return True
        return bool([int(number) for number in converted.tolist()] == array.tolist())
    if array.dtype.kind == "b":
        return True
    limits = np.iinfo(converted.dtype)
    if array.dtype.kind == "f":
        # The limit plus one is a power of two, which all float types represent exactly.
        inside = (array >= float(limits.min)) & (array < float(limits.max) + 1)
        return bool(inside.all()) and bool((converted == array).all())
    return limits.min <= int(array.min()) and int(array.max()) <= limits.max


def to_literal(array: npt.NDArray[Any]) -> str:
    """Write a one-dimensional array as a PostgreSQL literal; ``repr`` of a float is exact.

    Examples
    --------
    >>> to_literal(np.array([1.5, np.nan, -np.inf]))
    '{1.5,nan,-inf}'
    """
    return "{" + ",".join(map(repr, array.tolist())) + "}"


def from_literal(text: str, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Parse the PostgreSQL literal of a one-dimensional array.

    Raises
    ------
    DataError
        If the array has more dimensions or values of another type than the dtype's, or has NULL
        elements and an integer dtype.

    Examples
    --------
    >>> from_literal("{1.5,NaN,-Infinity,NULL}", np.dtype(float))
    array([ 1.5,  nan, -inf,  nan])
    """
    # A lower bound other than 1 precedes the braces: [0:2]={1,2,3}.
    body = text[text.index("{") + 1 : -1]
    if not body:
        return np.empty(0, dtype)
    if "{" in body:
        raise DataError("the stored array has more than one dimension")
    if "NULL" in body:
        if dtype.kind != "f":
            raise DataError("the stored integer array has NULL elements")
        body = body.replace("NULL", "NaN")
    if dtype.kind == "f":
        return _parsed(body, dtype)
    # Via int64, because a bigint value outside the range of int32 must not wrap around.
    return as_vector(_parsed(body, np.dtype(np.int64)), dtype, "the stored array")


def _parsed(body: str, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    # fromstring stops reading an integer at a decimal point, without an error at the end of the
    # text.
    whole = dtype.kind == "f" or not ("." in body or "e" in body)
    with warnings.catch_warnings():
        # Up to numpy 2.2, invalid text only causes a warning; the size below reveals it.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            parsed = np.fromstring(body, dtype=dtype, sep=",") if whole else np.empty(0, dtype)
        except ValueError:
            parsed = np.empty(0, dtype)
    if parsed.size != body.count(",") + 1:
        raise DataError(f"the stored array is not {dtype.name}: {body[:60]}")
    return parsed


def _adapt_numpy_scalars() -> None:
    # Elements of arrays and DataFrames are numpy scalars, which psycopg2 cannot adapt:
    # filter_by(name=frame["target"][0]) would fail.
    def plain(value: np.generic) -> Any:
        return psycopg2.extensions.adapt(value.item())

    for scalar in (np.bool_, *np.sctypeDict.values()):
        if issubclass(scalar, np.bool_ | np.integer | np.floating):
            psycopg2.extensions.register_adapter(scalar, plain)


_adapt_numpy_scalars()
