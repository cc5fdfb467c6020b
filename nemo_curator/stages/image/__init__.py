"""Images: reading, resizing, scoring, embedding, deduplicating and writing them. Importing this package imports none of its libraries."""
