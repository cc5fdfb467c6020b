"""Examples of curating text, end to end."""
