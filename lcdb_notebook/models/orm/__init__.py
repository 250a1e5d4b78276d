"""What the table classes are built from: the base, the array type, mission classes."""
