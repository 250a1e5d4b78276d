"""Create the tables in a database, compare them with the classes, and upgrade them."""
