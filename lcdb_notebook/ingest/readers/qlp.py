"""FITS light curves of QLP."""

from __future__ import annotations

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Named, Product
from lcdb_notebook.ingest.readers.fits_product import build_product, target_number
from lcdb_notebook.ingest.readers.flux_columns import FluxColumn, derived, read_curves
from lcdb_notebook.ingest.readers.headers import Header, qlp_flag_type, tess_observation, text
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import nominal_exposure, time_step
from lcdb_notebook.lightcurve.missions import TESS

__all__ = ["COLUMNS", "read", "recognizes"]

_SAP = FluxColumn(
    "SAP_FLUX", Named("QLP SAP", "[] Aperture photometry of difference images, relative flux")
)
_SYS_RM = derived("SYS_RM_FLUX", _SAP, "SYS_RM", "[] Instrumental systematics removed (QLP)")


def _detrended(method: str, what: str, source: FluxColumn) -> tuple[FluxColumn, ...]:
    return (
        derived(f"{method}_FLUX", source, method, f"[] {what}", f"{method}_FLUX_ERR"),
        *(
            derived(f"{method}_FLUX_{ending}", source, f"{method}_{ending}", f"[] {what}, {size}")
            for ending, size in (("SML", "smaller aperture"), ("LAG", "larger aperture"))
        ),
    )


_EARLY = (_SAP, *_detrended("KSPSAP", "Slow trends removed by a spline (QLP)", _SAP))
_LATE = (_SAP, _SYS_RM, *_detrended("DET", "Systematics and slow trends removed (QLP)", _SYS_RM))
COLUMNS = {"QLP": (*_LATE, *_EARLY[1:])}


def recognizes(primary: Header, header: Header) -> bool:
    """Return whether a file with these headers is a light curve of QLP."""
    return "mit/qlp" in text(primary, "ORIGIN").lower() and text(header, "EXTNAME") == "LIGHTCURVE"


def read(table: LightCurveTable) -> Product:
    """Read the light curves of QLP: KSPSAP up to sector 55, SYS_RM and DET from sector 56.

    Source: https://archive.stsci.edu/hlsp/qlp, and lightkurve.io.qlp for the sector.
    """
    exposure = nominal_exposure(time_step(table.header), TESS, "TIMEDEL")
    fields = tess_observation(table.primary, "QLP", exposure)
    table = table.sorted_by("CADENCENO")
    if "SAP_FLUX" in table and ("KSPSAP_FLUX" in table) == ("DET_FLUX" in table):
        raise IngestError(
            "a QLP file must have exactly one of the columns KSPSAP_FLUX and DET_FLUX"
        )
    flag_type = qlp_flag_type(fields["observation_fields"][TESS.field])
    return build_product(
        table,
        **fields,
        catalog=TESS.catalog,
        target=target_number(table, TESS),
        quality={flag_type: table.quality(TESS.quality_column)},
        curves=read_curves(table, _LATE if "DET_FLUX" in table else _EARLY),
    )
