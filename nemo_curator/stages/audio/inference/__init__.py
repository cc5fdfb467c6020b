"""Models that listen. Importing this package imports no model library."""
