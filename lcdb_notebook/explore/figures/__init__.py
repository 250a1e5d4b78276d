"""Figures of the explorers: light curve, lineage, and readout of cadences."""
