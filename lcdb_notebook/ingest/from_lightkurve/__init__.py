"""Convert light curves that are Python objects to products for the database."""
