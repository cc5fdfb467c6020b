"""Examples with images."""
