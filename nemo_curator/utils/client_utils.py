"""Paths together with the filesystem that they are on."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["FSPath", "is_remote_url"]

_LOCAL_PROTOCOLS = frozenset({"file", "local"})


def is_remote_url(url: str | None) -> bool:
    """Say whether `url` names something that is not on a local disk: it has a protocol, and that is not ``file``."""
    if not url:
        return False
    protocol, separator, _ = url.partition("://")
    return "::" in protocol or (bool(separator) and protocol.lower() not in _LOCAL_PROTOCOLS)


class FSPath:
    """A path and the fsspec filesystem that it is on. Picklable, as filesystems are."""

    def __init__(self, fs: AbstractFileSystem, path: str) -> None:
        self._fs = fs
        self._path = path

    @property
    def fs(self) -> AbstractFileSystem:
        """The filesystem."""
        return self._fs

    def open(self, mode: str = "rb", **kwargs: Any) -> IO[Any]:
        """Open the file."""
        return cast("IO[Any]", self._fs.open(self._path, mode, **kwargs))

    def as_posix(self) -> str:
        """Return the path, with its protocol unless it is local."""
        protocol = self._fs.protocol
        protocols = {protocol} if isinstance(protocol, str) else set(protocol)
        return self._path if protocols & _LOCAL_PROTOCOLS else self._fs.unstrip_protocol(self._path)

    def get_bytes_cat_ranges(self, *, part_size: int = 10 * 1024**2) -> bytes:
        """Return the content, fetched in parts of `part_size` bytes: at the same time where the filesystem can."""
        size = int(self._fs.size(self._path) or 0)
        if size == 0:
            return b""
        starts = list(range(0, size, part_size))
        ends = [min(start + part_size, size) for start in starts]
        parts = self._fs.cat_ranges([self._path] * len(starts), starts, ends, on_error="raise")
        return b"".join(parts)

    def __str__(self) -> str:
        return self._path

    def __repr__(self) -> str:
        return f"FSPath({self.as_posix()!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FSPath) and self.as_posix() == other.as_posix()

    def __hash__(self) -> int:
        return hash(self.as_posix())
