"""Models as stages of several modalities use them. Importing this package imports no model library."""
