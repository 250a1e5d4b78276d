"""Light curves that are already Python objects, as products for the database."""
