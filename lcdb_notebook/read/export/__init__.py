"""Write light curves to files and read them: FITS, ECSV, CSV and Parquet."""

from lcdb_notebook.read.export.dispatch import PER_LIGHT_CURVE, FileFormat, export
from lcdb_notebook.read.export.files import read_lightcurve, write_lightcurve

__all__ = ["PER_LIGHT_CURVE", "FileFormat", "export", "read_lightcurve", "write_lightcurve"]
