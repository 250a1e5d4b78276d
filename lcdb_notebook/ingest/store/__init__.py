"""Products into rows: planned, aligned, compared with what is stored, copied in."""
