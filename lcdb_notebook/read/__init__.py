"""Read the arrays of search results as records, into files, and in workers."""
