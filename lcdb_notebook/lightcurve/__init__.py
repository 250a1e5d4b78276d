"""One light curve as arrays, as lightkurve's object and as a DataFrame; no database."""
