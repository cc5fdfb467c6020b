"""Files that are either complete under their name or not there at all.

Content goes to a hidden file beside the target, is forced to disk, and is renamed over the target; a reader sees the old file
or the new one, never a part. A writer that is killed leaves at most a hidden ``.<name>.<token>.tmp`` behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

from nemo_curator.utils.client_utils import is_remote_url

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = [
    "atomic_output",
    "atomic_path",
    "fsync_directory",
    "write_json_atomically",
    "write_json_atomically_if_absent",
]

# A name may have 255 bytes on common filesystems; the temporary one must not be the one that does not fit.
_NAME_IN_TEMP = 40


@contextmanager
def atomic_output(
    path: str | os.PathLike[str], fs: AbstractFileSystem | None = None, mode: str = "wb"
) -> Iterator[IO[Any]]:
    """Open a file that appears under `path`, complete, when the block ends; nothing appears when it raises.

    The folder must exist. An existing file is replaced. On object stores the content is uploaded under a temporary key beside
    the final one and moved by the server.

    Args:
        path: The final name; a path of `fs`, or of the local disk when there is no `fs`.
        fs: An fsspec filesystem; `None`, like fsspec's local one, means the local disk.
        mode: ``"wb"``, or ``"w"`` for UTF-8 text.
    """
    if mode not in {"w", "wb"}:
        message = f"atomic_output writes whole files: mode must be 'wb' or 'w', got {mode!r}"
        raise ValueError(message)
    target = os.fspath(path)
    if fs is not None and not _is_local(fs):
        output = _remote_output(target, fs, mode)
    else:
        if fs is None and is_remote_url(target):
            message = f"{target} is not on the local disk; pass its filesystem: atomic_output(path, fs=get_fs(path))"
            raise ValueError(message)
        output = _local_output(target, mode)
    with output as handle:
        yield handle


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """Give a local name beside `path` to write to; what is there when the block ends appears under `path`, complete.

    For what writes files by name. When the block raises, nothing appears and the temporary file is removed.
    """
    target = os.fspath(path)
    directory, name = os.path.split(target)
    temporary = _temporary_beside(directory, name)
    try:
        yield temporary
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    fsync_directory(directory or ".")


def _is_local(fs: AbstractFileSystem) -> bool:
    protocol = fs.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def _temporary_beside(directory: str, name: str) -> str:
    hidden = f".{name[:_NAME_IN_TEMP]}.{os.urandom(8).hex()}.tmp"
    return f"{directory}/{hidden}" if directory else hidden


@contextmanager
def _local_output(target: str, mode: str) -> Iterator[IO[Any]]:
    directory, name = os.path.split(target)
    temporary = _temporary_beside(directory, name)
    encoding = None if "b" in mode else "utf-8"
    try:
        with open(temporary, mode.replace("w", "x"), encoding=encoding) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    fsync_directory(directory or ".")


@contextmanager
def _remote_output(target: str, fs: AbstractFileSystem, mode: str) -> Iterator[IO[Any]]:
    directory, name = posixpath.split(target)
    temporary = _temporary_beside(directory, name)
    text = {} if "b" in mode else {"encoding": "utf-8"}
    try:
        with fs.open(temporary, mode, **text) as handle:
            yield cast("IO[Any]", handle)
        _move_over(fs, temporary, target)
    except BaseException:
        # Whatever cleaning up meets (no such key, no connection), the error that led here says more.
        with contextlib.suppress(Exception):
            fs.rm_file(temporary)
        raise


def _move_over(fs: AbstractFileSystem, temporary: str, target: str) -> None:
    try:
        fs.mv(temporary, target)
    except FileExistsError:  # HDFS and SFTP do not rename over a file
        fs.rm_file(target)
        fs.mv(temporary, target)


def fsync_directory(path: str | os.PathLike[str]) -> None:
    """Force the names in a local folder to disk, as far as the system can; never raises `OSError`."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json_atomically(
    path: str | os.PathLike[str],
    payload: object,
    *,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = True,
) -> None:
    """Write `payload` as JSON with a trailing newline; the file is complete or not there."""
    text = json.dumps(payload, indent=indent, separators=separators, sort_keys=sort_keys)
    with atomic_output(path, mode="w") as handle:
        handle.write(text + "\n")


def write_json_atomically_if_absent(
    path: str | os.PathLike[str],
    payload: object,
    *,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = True,
) -> bool:
    """Write `payload` unless the file exists; of several that try at once, exactly one writes.

    Returns:
        Whether this call wrote the file.
    """
    target = os.fspath(path)
    directory, name = os.path.split(target)
    temporary = _temporary_beside(directory, name)
    write_json_atomically(temporary, payload, indent=indent, separators=separators, sort_keys=sort_keys)
    try:
        # A link fails where a rename would replace, and the name it makes points to complete content from the start.
        os.link(temporary, target)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    fsync_directory(directory or ".")
    return True
