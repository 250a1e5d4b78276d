"""What an explorer shows: its settings, the prepared arrays, the code that repeats it."""
