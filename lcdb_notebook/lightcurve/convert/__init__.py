"""Convert LightCurveData to lightkurve LightCurves and pandas DataFrames, without a database."""

from lcdb_notebook.lightcurve.convert.collection import to_lightcurves
from lcdb_notebook.lightcurve.convert.dataframe import to_pandas
from lcdb_notebook.lightcurve.convert.from_dataframe import from_pandas
from lcdb_notebook.lightcurve.convert.lightcurve import by_start, check_unit, to_lightcurve
from lcdb_notebook.lightcurve.convert.nested import to_nested
from lcdb_notebook.lightcurve.convert.tables import to_arrow, to_table
from lcdb_notebook.lightcurve.convert.wide import to_wide

__all__ = [
    "by_start",
    "check_unit",
    "from_pandas",
    "to_arrow",
    "to_lightcurve",
    "to_lightcurves",
    "to_nested",
    "to_pandas",
    "to_table",
    "to_wide",
]
