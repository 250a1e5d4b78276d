"""FITS light curves of QLP."""

from __future__ import annotations

from lcdb_notebook.errors import IngestError
from lcdb_notebook.ingest.product import Curve, Named, Product
from lcdb_notebook.ingest.readers.fits_product import RELATIVE, build_product, target_number
from lcdb_notebook.ingest.readers.headers import Header, qlp_flag_type, tess_observation, text
from lcdb_notebook.ingest.readers.table import LightCurveTable
from lcdb_notebook.ingest.readers.times import nominal_exposure, time_step
from lcdb_notebook.lightcurve.missions import TESS

__all__ = ["read", "recognizes"]


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
    aperture = Named("QLP SAP", "[] Aperture photometry of difference images, relative flux")
    curves = [Curve(aperture, None, None, table.floats("SAP_FLUX", RELATIVE))]

    def derive(name: str, column: str, description: str, source: int, error: str = "") -> None:
        flux = table.floats(column, RELATIVE)
        flux_err = table.floats(error, RELATIVE) if error else None
        curves.append(Curve(aperture, Named(name, f"[] {description}"), source, flux, flux_err))

    if ("KSPSAP_FLUX" in table) == ("DET_FLUX" in table):
        raise IngestError(
            "a QLP file must have exactly one of the columns KSPSAP_FLUX and DET_FLUX"
        )
    if "DET_FLUX" in table:
        derive("SYS_RM", "SYS_RM_FLUX", "Instrumental systematics removed (QLP)", 0)
        method, what, source = "DET", "Systematics and slow trends removed (QLP)", 1
    else:
        method, what, source = "KSPSAP", "Slow trends removed by a spline (QLP)", 0
    derive(method, f"{method}_FLUX", what, source, f"{method}_FLUX_ERR")
    for ending, size in (("SML", "smaller"), ("LAG", "larger")):
        derive(f"{method}_{ending}", f"{method}_FLUX_{ending}", f"{what}, {size} aperture", source)
    flag_type = qlp_flag_type(fields["observation_fields"][TESS.field])
    return build_product(
        table,
        **fields,
        catalog=TESS.catalog,
        target=target_number(table, TESS),
        quality={flag_type: table.quality(TESS.quality_column)},
        curves=tuple(curves),
    )
