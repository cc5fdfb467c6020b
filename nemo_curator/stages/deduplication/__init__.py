"""Finding and removing duplicates."""
