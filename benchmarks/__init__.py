"""Alternatives side by side in one run: ``python -m benchmarks --help``. Nothing heavy is imported here."""
