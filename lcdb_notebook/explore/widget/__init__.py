"""What the explorers are built from: base class, background work, errors, style."""
