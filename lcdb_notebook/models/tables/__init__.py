"""The tables in the database: created, compared with the classes, and upgraded."""
