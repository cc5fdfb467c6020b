"""The responses in WARC files; damaged records are passed over."""

from __future__ import annotations

import logging
import posixpath
import re
import zlib
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, cast

from nemo_curator.errors import DataError, require
from nemo_curator.stages.text.download.base import DocumentIterator
from nemo_curator.utils.byte_sizes import format_bytes
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path
from nemo_curator.utils.file_utils import get_fs

__all__ = ["CommonCrawlWarcIterator", "read_response"]

_log = logging.getLogger(__name__)

# Where a record can begin: a gzip member, or the first line of a record in a file that is not compressed.
_GZIP, _PLAIN = re.compile(rb"\x1f\x8b\x08"), re.compile(rb"WARC/\d\.\d\r?\n")
_OVERLAP = 16
_CHUNK = 1 << 20
_SMALL_CHUNK = 1 << 14


class CommonCrawlWarcIterator(DocumentIterator):
    """Yields the responses of a WARC file, compressed record by record or not at all.

    After a damaged record reading goes on at the next one. Of a file without a single readable record nothing is yielded,
    and it raises.

    Args:
        storage_options: For the filesystem of a URL.
        log_frequency: Records between two lines in the log; 0 for none.
        max_record_bytes: The largest content of a record; larger ones are left out.
    """

    def __init__(
        self,
        storage_options: dict[str, Any] | None = None,
        log_frequency: int = 0,
        max_record_bytes: int = 1 << 28,
    ) -> None:
        self._storage_options = dict(storage_options or {})
        self._log_frequency = log_frequency
        self._max_record_bytes = max_record_bytes

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if the package that reads WARC is not installed."""
        require("fastwarc", extra="text-download", purpose=type(self).__name__)

    def output_columns(self) -> list[str]:
        """Return the keys of a response."""
        return ["url", "warc_id", "source_id", "content"]

    def iterate(self, file_path: str) -> Iterator[dict[str, Any]]:
        """Yield the responses: ``url``, ``warc_id``, ``source_id`` (the name of the file) and ``content`` (bytes).

        Raises:
            DataError: No record in it can be read.
        """
        self.check_before_run()
        name = posixpath.basename(str(file_path))
        count = 0
        with self._open(str(file_path)) as stream:
            for url, record_id, content in self._responses(stream, str(file_path)):
                count += 1
                if self._log_frequency and count % self._log_frequency == 0:
                    _log.info("%d records of %s", count, name)
                yield {"url": url, "warc_id": record_id, "source_id": name, "content": content}

    def _open(self, path: str) -> IO[bytes]:
        if is_remote_url(path):
            return cast("IO[bytes]", get_fs(path, self._storage_options).open(path, "rb"))
        return open(local_path(path), "rb")

    def _responses(self, stream: IO[bytes], path: str) -> Iterator[tuple[str, str, bytes]]:
        from fastwarc.warc import ArchiveIterator

        beginning = _GZIP if stream.read(3).startswith(b"\x1f\x8b") else _PLAIN
        start: int | None = 0
        readable = damaged = 0
        while start is not None:
            at = start
            # A response is given out when the one after it was reached: only then was its checksum looked at.
            held: tuple[str, str, bytes] | None = None
            try:
                for record in ArchiveIterator(
                    cast("BinaryIO", _From(stream, start)), parse_http=True, auto_decode="all"
                ):
                    if held is not None:
                        yield held
                    at, held = start + record.stream_pos, None
                    readable += 1
                    held = read_response(record, self._max_record_bytes)
                if held is not None:
                    yield held
                break
            # The library raises OSError and ValueError for damage; whichever it is, the next record may be whole.
            except (OSError, ValueError, RuntimeError) as error:
                damaged += 1
                if held is not None and (beginning is _PLAIN or _is_intact(stream, at)):
                    yield held
                _log.debug("%s: a record at or after byte %d is damaged: %s", path, at, error)
                start = _next_beginning(stream, at + 1, beginning)
        if not readable:
            message = f"{path} is not a WARC file: no record can be read. Download it again, or check what wrote it"
            raise DataError(message)
        if damaged:
            _log.warning("%s is damaged in %d place(s); the records there are left out", path, damaged)


def read_response(record: Any, max_bytes: int) -> tuple[str, str, bytes] | None:
    """Return URL, id and content of a record, or `None` if it is no response over HTTP, or too large.

    Args:
        record: As fastwarc gives it, HTTP headers parsed.
        max_bytes: The largest content.

    Raises:
        ValueError: The record ends before its content does.
    """
    kind = str(record.headers.get("Content-Type") or "")
    if str(record.headers.get("WARC-Type")) != "response" or not kind.startswith("application/http"):
        return None
    if record.http_headers is None:
        message = "the record ends in its HTTP headers"
        raise ValueError(message)
    url = str(record.headers.get("WARC-Target-URI") or "")
    promised = int(record.content_length)
    content = record.reader.read(max_bytes + 1)
    if len(content) > max_bytes:
        _log.warning("%s has more than %s and is left out", url, format_bytes(max_bytes))
        return None
    if len(content) < promised and not _encoded(record):
        message = f"the record ends after {len(content)} of {promised} bytes"
        raise ValueError(message)
    record_id = str(record.record_id or "").removeprefix("<urn:uuid:").removesuffix(">")
    return url, record_id, content


def _is_intact(stream: IO[bytes], position: int) -> bool:
    """Say whether the gzip member that begins there is whole, its checksum included."""
    stream.seek(position)
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        while not unpacker.eof and (chunk := stream.read(_SMALL_CHUNK)):
            unpacker.decompress(chunk)
    except zlib.error:
        return False
    return unpacker.eof


def _encoded(record: Any) -> bool:
    """Say whether the content was decoded, so that its length is not the one that the record names."""
    return any(record.http_headers.get(name) for name in ("Content-Encoding", "Transfer-Encoding"))


def _next_beginning(stream: IO[bytes], position: int, beginning: re.Pattern[bytes]) -> int | None:
    """Return where, from a position on, a record may begin; `None` if nowhere."""
    stream.seek(position)
    window = b""
    while chunk := stream.read(_CHUNK):
        window += chunk
        match = beginning.search(window)
        if match is not None:
            return position + match.start()
        position += max(len(window) - _OVERLAP, 0)
        window = window[-_OVERLAP:]
    return None


class _From:
    """What a stream holds from a position on, as a stream that its reader cannot close: after damage it is read from elsewhere."""

    def __init__(self, stream: IO[bytes], start: int) -> None:
        self._stream, self._start = stream, start
        stream.seek(start)

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def tell(self) -> int:
        return self._stream.tell() - self._start
