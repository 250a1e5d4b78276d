"""Write products into the tables: planned, aligned, compared with what is stored, copied."""
