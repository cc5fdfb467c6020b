"""Temporary files and folders that are gone when the block that uses them is left, however it is left."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["make_pipeline_named_temporary_file", "make_pipeline_temporary_dir"]


@contextmanager
def make_pipeline_temporary_dir(sub_dir: str | None = None) -> Iterator[Path]:
    """Give an empty folder.

    Args:
        sub_dir: Folder below the system's folder for temporary files that it shall be in; made if it is not there, and left.
    """
    with tempfile.TemporaryDirectory(dir=_parent(sub_dir)) as folder:
        yield Path(folder)


@contextmanager
def make_pipeline_named_temporary_file(sub_dir: str | None = None, suffix: str | None = None) -> Iterator[Path]:
    """Give the path of an empty file, which other programs may open too.

    Args:
        sub_dir: As for `make_pipeline_temporary_dir`.
        suffix: What its name shall end in.
    """
    with tempfile.TemporaryDirectory(dir=_parent(sub_dir)) as folder:
        # In a folder of its own, so that a program may also replace it.
        path = Path(folder, f"file{suffix or ''}")
        path.touch()
        yield path


def _parent(sub_dir: str | None) -> Path:
    parent = Path(tempfile.gettempdir(), sub_dir or "")
    parent.mkdir(parents=True, exist_ok=True)
    return parent
