"""Older import paths of the Ray executors, as the public documentation has them."""
