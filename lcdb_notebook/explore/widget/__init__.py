"""Building blocks of the explorers: base class, background work, errors, style."""
