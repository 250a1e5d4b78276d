"""Building blocks of the table classes: the base, the array type, mission subclasses."""
