"""Text: reading, filtering, changing, splitting and writing documents."""
