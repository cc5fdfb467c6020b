"""Paths put together."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["get_full_path"]


def get_full_path(path: str | os.PathLike[str], *parts: str) -> Path:
    """Return the local path of something below `path`."""
    return Path(path, *parts)
