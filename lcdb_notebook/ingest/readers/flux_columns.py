"""Flux columns of the files of a pipeline: their names in the database, and their lineage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Curve, Named
from lcdb_notebook.ingest.readers.table import LightCurveTable

__all__ = ["FluxColumn", "column_unit", "derived", "read_curves", "with_unit"]


@dataclass(frozen=True)
class FluxColumn:
    """One flux column, which becomes one light curve.

    Parameters
    ----------
    column
        Name of the column in the files.
    photometry, processing
        As in :class:`~lcdb_notebook.ingest.product.Curve`. The description of the processing, or of
        the photometry if there is no processing, begins with the unit in brackets; without
        brackets, the unit is taken from the TUNIT card.
    source
        Column from which it was derived; it must come earlier in the sequence.
    error
        Column of the errors; None if there is none.
    optional
        Whether the column may be missing.
    """

    column: str
    photometry: Named
    processing: Named | None = None
    source: str | None = None
    error: str | None = None
    optional: bool = False

    @property
    def unit(self) -> str | None:
        """The unit that the column must have; None if it is taken from the TUNIT card."""
        description = (self.processing or self.photometry).description
        return description[1 : description.index("]")] if description.startswith("[") else None

    def of_variant(self, variant: str) -> FluxColumn:
        """Return the column with a word added to the name of its processing."""
        if not variant or self.processing is None:
            return self
        name = f"{self.processing.name} {variant}"
        return replace(self, processing=Named(name, self.processing.description))


def derived(
    column: str, raw: FluxColumn, name: str, description: str, error: str | None = None
) -> FluxColumn:
    """Return a column that was derived from another one."""
    return FluxColumn(column, raw.photometry, Named(name, description), raw.column, error)


def read_curves(
    table: LightCurveTable, columns: Sequence[FluxColumn], variant: str = ""
) -> tuple[Curve, ...]:
    """Read flux columns with their errors.

    Parameters
    ----------
    table
        The table.
    columns
        The columns, each after its source.
    variant
        Added to the names of the processing, if a pipeline has several files for one light curve.

    Raises
    ------
    IngestError
        If a column is missing that is not optional, or has another type or unit.
    """
    present = [c for c in columns if not c.optional or c.column in table]
    names = [c.column for c in present]
    curves = []
    for c in present:
        named = with_unit(c, c.unit if c.unit is not None else column_unit(table, c.column))
        named = named.of_variant(variant)
        # Without a required unit, errors are in the unit of the flux, too.
        curves.append(
            Curve(
                named.photometry,
                named.processing,
                names.index(c.source) if c.source in names else None,
                table.floats(c.column, c.unit),
                table.floats(c.error, c.unit) if c.error else None,
                c.column,
                c.error or "",
            )
        )
    return tuple(curves)


def with_unit(column: FluxColumn, unit: str) -> FluxColumn:
    """Return a column whose description begins with a unit, if it does not contain one."""
    if column.unit is not None:
        return column
    named = column.processing or column.photometry
    named = Named(named.name, f"[{unit}] {named.description}")
    if column.processing is not None:
        return replace(column, processing=named)
    return replace(column, photometry=named)


def column_unit(table: LightCurveTable, column: str) -> str:
    """Return the unit of a column in astropy's spelling; "" if it has none.

    Raises
    ------
    IngestError
        If astropy does not know the unit.
    """
    from astropy import units

    written = table.unit(column)
    if written.lower().replace(" ", "") in ("e-/s", "e/s", "electrons/s"):
        return "electron / s"
    if written.lower() in ("", "unitless", "dimensionless"):
        return ""
    try:
        return str(units.Unit(written).to_string())
    except ValueError:
        raise IngestError(f"the unit of column {column}, {written!r}, is unknown") from None
