"""Which database is meant, the connection to it, and PostgreSQL's own formats."""
