"""LightCurveData to lightkurve LightCurves and pandas DataFrames: pure functions, no database."""

from lcdb_notebook.convert.dataframe import to_pandas
from lcdb_notebook.convert.lightcurve import by_start, to_lightcurve

__all__ = ["by_start", "to_lightcurve", "to_pandas"]
