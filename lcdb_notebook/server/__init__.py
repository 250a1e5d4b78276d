"""Find the database, connect to it, and read PostgreSQL's own formats."""
