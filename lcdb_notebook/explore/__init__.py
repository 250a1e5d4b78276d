"""Explorers: targets, light curves, flags and lineage by clicking, and back to code."""
