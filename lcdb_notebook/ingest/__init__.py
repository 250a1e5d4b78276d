"""The write side: files and LightCurves into the database. The read side never imports it."""
