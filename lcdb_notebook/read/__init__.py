"""Read the arrays of light curves that were found: into records, files and workers."""
