"""FITS images: their headers as rows."""
