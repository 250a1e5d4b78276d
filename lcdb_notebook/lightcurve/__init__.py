"""One light curve as arrays, as a lightkurve LightCurve and as a DataFrame; no database."""
