"""Write light curves to files and read them: FITS, ECSV, CSV and Parquet."""

from lcdb_notebook.read.export.dispatch import FileFormat, export
from lcdb_notebook.read.export.files import read_lightcurve, write_lightcurve

__all__ = ["FileFormat", "export", "read_lightcurve", "write_lightcurve"]
