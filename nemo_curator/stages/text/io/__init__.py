"""Text in and out of files."""
