"""The warning that the experimental import paths give."""

from __future__ import annotations

import warnings

from nemo_curator.errors import ExperimentalWarning

__all__ = ["announce"]


def announce(backend: str, executor: str) -> None:
    """Warn that an executor was imported from its experimental path. Python imports a module once, so this is said once."""
    message = (
        f"{executor} is experimental: its options and its performance may change. nemo_curator.backends.{backend} is the same class under its "
        "stable path"
    )
    warnings.warn(message, ExperimentalWarning, stacklevel=3)
