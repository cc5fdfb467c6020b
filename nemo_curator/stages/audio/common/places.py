"""Where audio stages write: looked at before the run."""

from __future__ import annotations

import os

from nemo_curator.errors import OptionError, OutputError
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path

__all__ = ["absolute", "check_writable", "require_text"]


def absolute(path: str) -> str:
    """Return a path that means the same in every worker."""
    path = os.fspath(path)
    return path.rstrip("/") if is_remote_url(path) else local_path(path)


def require_text(stage: str, **options: object) -> None:
    """Raise `OptionError` for the first option that is not a text with something in it."""
    for name, value in options.items():
        if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
            message = f"stage {stage!r}: {name} must be given, got {value!r}"
            raise OptionError(message)


def check_writable(stage: str, folder: str) -> None:
    """Raise `OutputError` unless the folder, or the nearest one above it that exists, can be written to. URLs are not looked at."""
    if is_remote_url(folder):
        return
    existing = folder
    while not os.path.lexists(existing) and os.path.dirname(existing) != existing:
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        message = f"stage {stage!r}: cannot write to {folder}: {existing} is not a folder"
        raise OutputError(message)
    if not os.access(existing, os.W_OK | os.X_OK):
        message = f"stage {stage!r}: cannot write to {folder}: {existing} is not writable for this user"
        raise OutputError(message)
