"""The view of an explorer: settings, prepared arrays, and the code that reproduces them."""
