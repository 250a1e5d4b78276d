"""Search criteria and their SQL; the results, or why there are none; listings; lineage."""
