"""Interactive explorers of targets, light curves, quality flags and lineage."""
