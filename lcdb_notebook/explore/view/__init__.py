"""What an explorer shows: settings, prepared arrays, and the code that reproduces them."""
