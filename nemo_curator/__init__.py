"""Data-curation pipelines that run unchanged on any engine.

Importing this package sets no environment variable and imports no engine.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
