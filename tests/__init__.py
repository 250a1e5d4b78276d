"""The tests, a folder for each wing."""
