"""Curating speech: an example, and the figures on labelled recordings."""
