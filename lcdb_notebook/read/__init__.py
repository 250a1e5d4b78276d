"""Arrays of what was found: into records, files and workers."""
