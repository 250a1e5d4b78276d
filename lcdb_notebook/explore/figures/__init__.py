"""Figures of the explorers: the light curve, the lineage, the readout."""
