"""Read the files of each pipeline as products for the database."""
