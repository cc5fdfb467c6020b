"""Folders of a cluster that go when it goes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["DEFAULT_TEMP_DIR", "private_spill_dir", "private_temp_dir"]

DEFAULT_TEMP_DIR = str(Path(tempfile.gettempdir()) / "ray")

# Ray puts sockets below its folder: the kernel allows 107 bytes for their paths, and Ray takes about 65 of them.
_LONGEST_BASE = 28


def private_temp_dir() -> str:
    """Make a folder of this cluster's own for Ray's logs and sockets, with a path that is short enough."""
    base = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="ray-", dir=base if len(os.fsencode(base)) <= _LONGEST_BASE else "/tmp")  # noqa: S108  the only short one; mkdtemp makes it private


def private_spill_dir() -> str:
    """Make a folder of this cluster's own for objects that memory does not hold, under ``<TMP>/ray_spill``.

    Where that belongs to another user, under one with this user's number behind the name.
    """
    temp = Path(tempfile.gettempdir())
    base = temp / "ray_spill"
    base.mkdir(mode=0o700, exist_ok=True)
    if not os.access(base, os.W_OK | os.X_OK):
        base = temp / f"ray_spill_{os.getuid()}"
        base.mkdir(mode=0o700, exist_ok=True)
    return tempfile.mkdtemp(dir=base)
