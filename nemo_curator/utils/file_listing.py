"""Which files there are: under a folder, for a glob pattern, on the local disk or any fsspec filesystem.

The local disk is listed without fsspec, whose import costs more than listing a thousand files.
"""

from __future__ import annotations

import glob
import os
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import InputError, MissingExtra
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.compression import extensions_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = [
    "METADATA_DIRNAME",
    "FoundFile",
    "file_state",
    "has_extension",
    "iter_files",
    "local_path",
    "names_in",
    "normalize_extensions",
    "path_exists",
    "resolve_url",
]

METADATA_DIRNAME = ".nemo_curator_metadata"


@dataclass(slots=True)
class FoundFile:
    """A file that a listing found.

    Attributes:
        path: Absolute path, or URL with its protocol.
        size: Bytes; -1 when the filesystem does not say.
    """

    path: str
    size: int = -1


def normalize_extensions(extensions: str | Iterable[str]) -> list[str]:
    """Return extensions in lower case with their dot, in the order given."""
    given = [extensions] if isinstance(extensions, str) else extensions
    return [extension.lower() if extension.startswith(".") else f".{extension.lower()}" for extension in given]


def has_extension(path: str, extensions: Iterable[str]) -> bool:
    """Say whether the name ends in one of the (normalized) extensions, not looking at case or a compression suffix."""
    return not set(extensions_of(path)).isdisjoint(extensions)


def local_path(path: str) -> str:
    """Return the absolute form of a local path or ``file://`` URL."""
    protocol, separator, rest = path.partition("://")
    return os.path.abspath(os.path.expanduser(rest if separator and protocol in {"file", "local"} else path))


def resolve_url(url: str, storage_options: dict[str, Any] | None = None) -> tuple[AbstractFileSystem, str]:
    """Return the filesystem of a URL and the path on it.

    Raises:
        InputError: No filesystem is known for the protocol.
        MissingExtra: The package for the protocol is not installed.
    """
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(url, **(storage_options or {}))
    except ImportError as error:
        message = f"{url} needs a package that is not installed: {error}"
        raise MissingExtra(message) from error
    except ValueError as error:
        if "protocol" not in str(error).lower():
            raise
        message = (
            f"{url} has a protocol that fsspec does not know: {error}. Check the spelling of the part before '://'"
        )
        raise InputError(message) from error


def names_in(fs: Any, folder: str) -> list[str]:
    """Return the names of what is in a folder of an fsspec filesystem, in no order."""
    return [posixpath.basename(str(path).rstrip("/")) for path in fs.ls(folder, detail=False)]


def path_exists(path: str, storage_options: dict[str, Any] | None = None) -> bool:
    """Say whether a path, URL or glob pattern stands for anything."""
    if is_remote_url(path):
        fs, inner = resolve_url(path, storage_options)
        return bool(fs.glob(inner)) if glob.has_magic(inner) else fs.exists(inner)
    local = local_path(path)
    return os.path.exists(local) or (
        glob.has_magic(local) and next(glob.iglob(local, recursive=True), None) is not None
    )


def iter_files(
    path: str,
    *,
    recurse: bool = True,
    storage_options: dict[str, Any] | None = None,
    fs: AbstractFileSystem | None = None,
    lazily: bool = False,
) -> Iterator[FoundFile]:
    """Yield the files that `path` stands for: itself, those in a folder, or those that match a glob pattern.

    What this package keeps about a folder, in ``.nemo_curator_metadata``, is not data and is left out. Nothing when there is nothing; the order is not defined. Symbolic links are followed, each folder at most once.

    Args:
        path: A path or URL. One of a web server stands for the files that its page links to, if it ends in a slash.
        recurse: Whether to look into folders of a folder.
        storage_options: For the filesystem of a URL.
        fs: The filesystem that `path` is on, if it is known.
        lazily: Ask a remote filesystem folder by folder, for a caller that stops early; else in as few requests as it can.
    """
    if fs is None and not is_remote_url(path):
        return _local_files(local_path(path), recurse)
    if fs is None:
        fs, path = resolve_url(path, storage_options)
    elif _is_local(fs):
        return _local_files(local_path(path), recurse)
    return _remote_files(fs, path, recurse, lazily)


def file_state(path: str, storage_options: dict[str, Any] | None = None) -> str:
    """Return what tells whether a file has changed: size and time of change, or a store's tag of its content; ``missing`` if it is not there.

    Args:
        path: A path or URL.
        storage_options: For the filesystem of a URL.
    """
    try:
        if not is_remote_url(path):
            status = os.stat(local_path(path))
            return f"{status.st_size} {status.st_mtime_ns}"
        fs, inner = resolve_url(path, storage_options)
        fs.invalidate_cache(fs._parent(inner))
        info = fs.info(inner)
    except OSError:
        # Whoever reads it says so better.
        return "missing"
    tags = [
        str(info[name]) for name in ("ETag", "etag", "md5Hash", "LastModified", "mtime", "created") if info.get(name)
    ]
    return " ".join([str(info.get("size")), *tags[:1]])


def _is_local(fs: AbstractFileSystem) -> bool:
    protocol = fs.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def _local_files(path: str, recurse: bool) -> Iterator[FoundFile]:
    if os.path.isdir(path):
        yield from _walk_local(path, recurse)
    elif os.path.isfile(path):
        yield FoundFile(path, os.path.getsize(path))
    elif glob.has_magic(path):
        for match in glob.iglob(path, recursive=True):
            yield from _local_files(match, recurse=False)


def _walk_local(root: str, recurse: bool) -> Iterator[FoundFile]:
    pending, seen = [root], set[tuple[int, int]]()
    while pending:
        folder = pending.pop()
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            continue  # a symbolic link leads back up
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    if recurse and entry.name != METADATA_DIRNAME:
                        pending.append(entry.path)
                elif entry.is_file():
                    yield FoundFile(entry.path, entry.stat().st_size)


def _remote_files(fs: Any, path: str, recurse: bool, lazily: bool) -> Iterator[FoundFile]:
    if glob.has_magic(path) and not fs.exists(path):
        for name, info in fs.glob(path, detail=True).items():
            if info["type"] == "directory":
                yield from _remote_files(fs, name, recurse=False, lazily=lazily)
            else:
                yield _found(fs, info)
        return
    if not fs.exists(path):
        return
    # On the web everything is a file; a page whose URL ends in a slash is a list of links.
    if not path.endswith("/") and fs.isfile(path):
        yield _found(fs, fs.info(path))
        return
    for info in _listed(fs, path, recurse, lazily):
        name = str(info["name"])
        # A page may link to anywhere.
        leads_out = "://" in name and not name.startswith(path.rstrip("/") + "/")
        if not leads_out and f"/{METADATA_DIRNAME}/" not in name:
            yield _found(fs, info)


def _listed(fs: Any, path: str, recurse: bool, lazily: bool) -> Iterator[dict[str, Any]]:
    depth = None if recurse else 1
    if not lazily:
        yield from fs.find(path, maxdepth=depth, detail=True).values()
        return
    for _folder, _folders, files in fs.walk(path, maxdepth=depth, detail=True):
        yield from files.values()


def _found(fs: AbstractFileSystem, info: dict[str, Any]) -> FoundFile:
    size = info.get("size")
    return FoundFile(fs.unstrip_protocol(info["name"]), -1 if size is None else int(size))
