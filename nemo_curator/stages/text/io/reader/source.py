"""What a reader was given: the content of a file, or in a sentence why it cannot be read."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, NoReturn, cast

from nemo_curator.errors import DataError, InputError
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.compression import COMPRESSION_SUFFIXES, CompressionError, compression_of, decompress
from nemo_curator.utils.file_listing import local_path, resolve_url

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["how_to_read", "looks_like", "open_file", "raise_unreadable", "read_content", "read_lines"]

_MAGIC = (
    (b"PAR1", "a Parquet file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"ARROW1", "an Arrow file"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
)
_SUFFIXES = {"a gzip file": ".gz", "a bzip2 file": ".bz2", "an xz file": ".xz", "a Zstandard file": ".zst"}


def looks_like(head: bytes) -> str:
    """Return what the first bytes of a file say that it is, with its article; nothing when they do not say."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        return "JSON Lines"
    if text.startswith(b"["):
        return "a JSON array"
    return "HTML or XML" if text.startswith(b"<") else ""


def how_to_read(kind: str) -> str:
    """Return the next step for a file that turned out to be of this kind."""
    if kind == "a Parquet file":
        return "read it with ParquetReader"
    if kind == "JSON Lines":
        return "read it with JsonlReader"
    if kind == "a JSON array":
        return "write one object on each line: jq -c '.[]' FILE"
    if kind == "UTF-16 text":
        return "convert it: iconv -f UTF-16 -t UTF-8 FILE"
    if kind in _SUFFIXES:
        suffix = _SUFFIXES[kind]
        return f"let its name end in {suffix}, or pass read_kwargs={{'compression': {COMPRESSION_SUFFIXES[suffix]!r}}}"
    return "check what wrote it"


def read_content(
    path: str,
    *,
    stage: str,
    storage_options: dict[str, Any] | None = None,
    compression: str | None = "infer",
    limit: int | None = None,
) -> bytes:
    """Return the content of a file, decompressed.

    Args:
        path: A local path or a URL.
        stage: Name of the stage, for messages.
        storage_options: For the filesystem of a URL.
        compression: How it is compressed; ``"infer"`` to go by its name.
        limit: No more than this many bytes and one are returned; more than `limit` says that there are more.

    Raises:
        InputError: It is not there any more, or may not be read.
        DataError: It is not compressed as it should be, or damaged.
    """
    method = compression_of(path) if compression == "infer" else compression
    # What cannot be compressed becomes a little larger by it.
    most = -1 if limit is None else limit + 1 if method is None else limit + limit // 8 + (1 << 12)
    try:
        with _open(path, storage_options) as handle:
            data = handle.read(most)
    except OSError as error:
        raise_unreadable(path, error, stage)
    if method is None or len(data) == most:
        return data
    try:
        return decompress(data, method, limit)
    except CompressionError as error:
        kind = looks_like(data)
        other = kind and COMPRESSION_SUFFIXES.get(_SUFFIXES.get(kind, "")) != method
        advice = f"It looks like {kind}: correct its name" if other else "Write or download it again"
        message = f"stage {stage!r}: {path} should be compressed with {method}, but {error}. {advice}"
        raise DataError(message) from error


def read_lines(path: str, start: int, stop: int, *, stage: str, storage_options: dict[str, Any] | None = None) -> bytes:
    """Return the lines of a file that is not compressed which begin at bytes from `start` up to `stop`, that one excluded, whole.

    Of parts that lie end to end every line is in exactly one, however long it is.

    Raises:
        InputError: The file is not there any more, or may not be read.
    """
    try:
        with _open(path, storage_options) as handle:
            first = 0
            if start:
                # A line begins at `start` if the byte before it ends another one.
                handle.seek(start - 1)
                first = start - 1 + len(handle.readline(stop - start + 1))
            if first >= stop:
                return b""
            if is_remote_url(path):
                data = handle.read(stop - first)
                return data if data.endswith(b"\n") else data + handle.readline()
            # Looking for the end first costs nothing here, and spares a copy of all of it.
            handle.seek(stop - 1)
            last = stop - 1 + len(handle.readline())
            handle.seek(first)
            return handle.read(last - first)
    except OSError as error:
        raise_unreadable(path, error, stage)


def _open(path: str, storage_options: dict[str, Any] | None) -> IO[bytes]:
    if is_remote_url(path):
        fs, inner = resolve_url(path, storage_options)
        return cast("IO[bytes]", fs.open(inner, "rb"))
    return open(local_path(path), "rb")


def open_file(path: str, *, stage: str, storage_options: dict[str, Any] | None = None) -> pa.NativeFile:
    """Open a file for reading parts of it; a compressed one is read whole.

    Raises:
        InputError: It is not there any more, or may not be read.
        DataError: It is not compressed as its name says.
    """
    import pyarrow as pa

    if compression_of(path):
        return pa.BufferReader(read_content(path, stage=stage, storage_options=storage_options))
    try:
        if is_remote_url(path):
            fs, inner = resolve_url(path, storage_options)
            return pa.PythonFile(fs.open(inner, "rb"), mode="r")
        return pa.OSFile(local_path(path), mode="r")
    except OSError as error:
        raise_unreadable(path, error, stage)


def raise_unreadable(path: str, error: OSError, stage: str) -> NoReturn:
    """Raise what an `OSError` on opening or reading a file means.

    Anything but a missing file, a folder and missing permission passes as it is: a network or a disk may do better next time.
    """
    if isinstance(error, FileNotFoundError):
        why = "is not there any more, though it was when files were listed. Put it back, or start again to list anew"
    elif isinstance(error, PermissionError):
        why = "may not be read by this user. Check its permissions, or storage_options for a URL"
    elif isinstance(error, IsADirectoryError):
        why = "is a folder, not a file. Name files, or give the folder to a reader, which lists it"
    else:
        raise error
    message = f"stage {stage!r}: {path} {why}"
    raise InputError(message) from error
