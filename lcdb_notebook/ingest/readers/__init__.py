"""Files of each pipeline, as products for the database."""
