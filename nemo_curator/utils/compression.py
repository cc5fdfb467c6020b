"""Compressed files by the suffix of their names: what is compressed, and how to read and write it.

gzip, bzip2 and xz come with Python; Zstandard and LZ4 with pyarrow, which is imported when such a file is met.
"""

from __future__ import annotations

import contextlib
import io
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

__all__ = [
    "COMPRESSION_SUFFIXES",
    "CompressionError",
    "compressed_writer",
    "compression_of",
    "decompress",
    "extensions_of",
    "known_method",
    "suffix_for",
]

COMPRESSION_SUFFIXES = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd", ".lz4": "lz4"}
"""Suffix of a file name -> method."""

_ALIASES = {"gz": "gzip", "lzma": "xz", "zst": "zstd"}


class CompressionError(ValueError):
    """The bytes are not what the suffix says, or end too early; the message says which."""


def known_method(name: str) -> str:
    """Return the method that goes by this name: ``"gzip"`` for ``"gz"``.

    Raises:
        ValueError: No such method.
    """
    method = _ALIASES.get(str(name).lower(), str(name).lower())
    if method not in COMPRESSION_SUFFIXES.values():
        message = f"compression {name!r} is not known; known: {', '.join(COMPRESSION_SUFFIXES.values())}"
        raise ValueError(message)
    return method


def suffix_for(method: str | None) -> str:
    """Return the suffix that files compressed this way carry; nothing for no compression."""
    return next((suffix for suffix, known in COMPRESSION_SUFFIXES.items() if known == method), "")


def compression_of(path: str) -> str | None:
    """Return how the file is compressed according to its name; `None` for not at all."""
    return COMPRESSION_SUFFIXES.get(posixpath.splitext(path)[1].lower())


def extensions_of(path: str) -> tuple[str, ...]:
    """Return what the name ends in, lower-case: ``(".parquet",)``, or ``(".gz", ".jsonl")`` for a compressed file."""
    stem, last = posixpath.splitext(path.lower())
    inner = posixpath.splitext(stem)[1] if last in COMPRESSION_SUFFIXES else ""
    return (last, inner) if inner else (last,)


def decompress(data: bytes, method: str, limit: int | None = None) -> bytes:
    """Return the content of a compressed file.

    Args:
        data: The file.
        method: One of the values of `COMPRESSION_SUFFIXES`.
        limit: Unpack no more than this many bytes and one, for files of whose makers nothing is known: a thousandfold is possible.

    Raises:
        CompressionError: The data is not of this kind, damaged, or ends before its end.
    """
    import lzma
    import zlib

    if not data:
        message = "it is empty, without even the header of a compressed file"
        raise CompressionError(message)
    try:
        return _decompress(data, method) if limit is None else _beginning(data, method, limit + 1)
    except EOFError:
        message = f"it ends in the middle of its {method} stream, after {len(data)} bytes: it was cut off"
    except (OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        message = f"its {method} stream cannot be read: {error}"
    raise CompressionError(message)


def _decompress(data: bytes, method: str) -> bytes:
    if method == "gzip":
        import gzip

        return gzip.decompress(data)
    if method == "bz2":
        import bz2

        return _until_end(bz2.BZ2Decompressor, data)
    if method == "xz":
        import lzma

        return _until_end(lzma.LZMADecompressor, data)
    import pyarrow as pa

    with pa.CompressedInputStream(pa.BufferReader(data), method) as stream:
        return stream.read()


def _beginning(data: bytes, method: str, size: int) -> bytes:
    if method in {"gzip", "bz2", "xz"}:
        import bz2
        import gzip
        import lzma

        with {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}[method](io.BytesIO(data)) as stream:
            return stream.read(size)
    import pyarrow as pa

    with pa.CompressedInputStream(pa.BufferReader(data), method) as stream:
        return stream.read(size)


def _until_end(decompressor: Any, data: bytes) -> bytes:
    """Decompress all streams of a file; the modules' own one-shot functions ignore a last stream that was cut off."""
    parts: list[bytes] = []
    while data:
        stream = decompressor()
        parts.append(stream.decompress(data))
        if not stream.eof:
            raise EOFError
        data = stream.unused_data.lstrip(b"\0")
    return b"".join(parts)


@contextmanager
def compressed_writer(handle: IO[bytes], method: str | None) -> Iterator[IO[bytes]]:
    """Yield a file whose content arrives compressed in `handle`, which stays open.

    The same content gives the same bytes: no time of day and no name goes into the file.
    """
    if method is None:
        yield handle
        return
    with contextlib.closing(_open_writer(handle, method)) as stream:
        yield stream


def _open_writer(handle: IO[bytes], method: str) -> IO[bytes]:
    if method == "gzip":
        import gzip

        # Level 6 is the gzip command's own choice: a third of the time of Python's 9 for one percent more bytes.
        return cast("IO[bytes]", gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=handle, mtime=0))
    if method == "bz2":
        import bz2

        return bz2.open(handle, "wb")
    if method == "xz":
        import lzma

        return lzma.open(handle, "wb")
    import pyarrow as pa

    return cast("IO[bytes]", pa.CompressedOutputStream(_KeepOpen(handle), method))


class _KeepOpen:
    """A file that pyarrow may close without closing the one behind it."""

    closed = False

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = handle

    def write(self, data: bytes) -> int:
        return self._handle.write(data)

    def flush(self) -> None:
        self._handle.flush()

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False
