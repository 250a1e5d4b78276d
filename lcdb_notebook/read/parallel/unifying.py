"""Give files of results the same columns and types, so that any program reads them as one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lcdb_notebook.read.export.atomic_write import atomic_write
from lcdb_notebook.read.parallel.results import in_units, lead_and_results

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["unified"]


# The key under which pandas stores the attributes of a DataFrame in a file.
_ATTRS = b"PANDAS_ATTRS"


_TEXTS = ("catalog", "photometry", "processing", "error")


class _Part(NamedTuple):
    """What the footer of a file contains."""

    path: Path
    schema: Any
    rows: int
    values: Mapping[str, int]
    units: Mapping[str, str]


def unified(paths: Sequence[Path], read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
    """Rewrite the files whose columns, types or units differ, one after another.

    A column without any value has no type in a file, and a column that no light curve of a file has
    is missing in it.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        Files of results.
    read : callable
        Reads one of them.

    Returns
    -------
    pandas.DataFrame
        One row for each file: ``file, light_curves, errors``.
    """
    import pandas as pd
    import pyarrow as pa

    parts = [_footer(path) for path in paths]
    lead, results = lead_and_results([part.schema.names for part in parts])
    names = [*lead, "photometry", "processing", *results, "error"]
    units: dict[str, str] = {}
    for part in parts:
        units = {**part.units, **units}
    schema = pa.schema([pa.field(name, _type(name, parts)) for name in names])
    for part in parts:
        if part.schema.remove_metadata() == schema and part.units == units:
            continue
        frame = in_units(read(part.path), units).reindex(columns=names)
        for name, type_ in zip(names, schema.types, strict=True):
            if frame[name].isna().all():
                # A column of NaN could not be one of texts or arrays.
                frame[name] = pd.Series(None, frame.index, dtype=object)
            elif pa.types.is_string(type_):
                frame[name] = [None if one is None else str(one) for one in _objects(frame[name])]
        frame.attrs = {"units": units} if units else {}
        with atomic_write(part.path) as partial:
            frame.to_parquet(partial, engine="pyarrow", index=False, schema=schema)
    return pd.DataFrame(
        {
            "file": [str(part.path) for part in parts],
            "light_curves": [part.rows for part in parts],
            "errors": [part.values["error"] for part in parts],
        }
    )


def _footer(path: Path) -> _Part:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema, about = file.schema_arrow, file.metadata
        values = dict.fromkeys(schema.names, 0)
        for number in range(about.num_row_groups):
            group = about.row_group(number)
            for place in range(group.num_columns):
                column = group.column(place)
                # Of a column of arrays, the elements are counted.
                name = column.path_in_schema.split(".")[0]
                # A column without statistics may have values, unless it has no type.
                unknown = 0 if pa.types.is_null(schema.field(name).type) else 1
                values[name] += column.statistics.num_values if column.statistics else unknown
        units = json.loads((schema.metadata or {}).get(_ATTRS, b"{}")).get("units", {})
        return _Part(path, schema, about.num_rows, values, units)


def _type(name: str, parts: Sequence[_Part]) -> Any:
    """Return the type of a column that can hold its values in all files."""
    import pyarrow as pa

    known = [part for part in parts if name in part.schema.names]
    full = [part for part in known if part.values[name]] or known
    types = {part.schema.field(name).type for part in full} - {pa.null()}
    if len(types) > 1:
        fields = [pa.schema([pa.field(name, type_)]) for type_ in types]
        try:
            types = {pa.unify_schemas(fields, promote_options="permissive").field(name).type}
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            # Numbers here and texts there.
            types = {pa.string()}
    if not types:
        return pa.string() if name in _TEXTS else pa.float64()
    (only,) = types
    return pa.string() if pa.types.is_large_string(only) else only


def _objects(column: pd.Series[Any]) -> list[Any]:
    return column.astype(object).where(column.notna(), None).tolist()
