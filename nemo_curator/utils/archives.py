"""Archives that somebody else made: read or unpacked within bounds, never outside the folder they are unpacked to."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from nemo_curator.errors import DataError
from nemo_curator.utils.byte_sizes import format_bytes

__all__ = ["ArchiveLimits", "gunzip", "iter_tar_files", "read_bounded", "tar_safe_extract"]


@dataclass(frozen=True)
class ArchiveLimits:
    """How much an archive may hold before it counts as hostile.

    Attributes:
        max_members: Files, folders and links.
        max_file_bytes: The largest file, unpacked.
        max_total_bytes: All files together, unpacked.
    """

    max_members: int = 100_000
    max_file_bytes: int = 1 << 30
    max_total_bytes: int = 1 << 36


def read_bounded(stream: IO[bytes], most: int, where: str) -> bytes:
    """Return what is left of a stream.

    Raises:
        DataError: There is more than `most` bytes of it.
    """
    data = stream.read(most + 1)
    if len(data) > most:
        raise DataError(_too_large(where, most))
    return data


def gunzip(data: bytes, most: int, where: str) -> bytes:
    """Return the content of a gzip file, of its first part if several follow one another.

    Raises:
        DataError: It is no gzip file, it ends too early, or there is more than `most` bytes in it.
    """
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = unpacker.decompress(data, most + 1)
    except zlib.error as error:
        message = f"{where} is not a gzip file, or damaged: {error}"
        raise DataError(message) from error
    if len(content) > most:
        raise DataError(_too_large(where, most))
    if not unpacker.eof:
        message = f"{where} is a gzip file that ends too early; download it again"
        raise DataError(message)
    return content


def iter_tar_files(
    stream: IO[bytes],
    where: str,
    limits: ArchiveLimits | None = None,
    wanted: Callable[[str, int], bool] | None = None,
) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of every regular file of a tar archive. Nothing is written, links are not followed.

    Args:
        stream: The archive, compressed in any way that tarfile knows; it is read from front to back.
        where: What the archive is, for messages.
        limits: Bounds; the default ones without.
        wanted: Told a file's name and size, says whether to read it; in the order of the archive. What it refuses is passed over, but
            counts for `max_total_bytes`: a compressed archive has to be unpacked to pass it.

    Raises:
        DataError: It is no tar archive, it is damaged, or it is beyond the limits.
    """
    limits = limits or ArchiveLimits()
    total = 0
    try:
        # As a stream, so that a file that lies about its size is met before anything is read.
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            for number, member in enumerate(archive, start=1):
                if number > limits.max_members:
                    raise DataError(_too_many(where, limits.max_members))
                # A sparse file may be a terabyte of nothing.
                if not member.isreg() or member.issparse():
                    continue
                total += member.size
                if total > limits.max_total_bytes:
                    raise DataError(_too_large(where, limits.max_total_bytes))
                if wanted is not None and not wanted(member.name, member.size):
                    continue
                inner = f"{member.name} in {where}"
                content = archive.extractfile(member)
                if content is not None:
                    yield member.name, _whole(content, member.size, limits.max_file_bytes, inner)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        message = f"{where} is not a tar archive, or damaged: {error}"
        raise DataError(message) from error


def _whole(content: IO[bytes], size: int, most: int, where: str) -> bytes:
    if size > most:
        raise DataError(_too_large(where, most))
    data = read_bounded(content, most, where)
    if len(data) != size:
        message = f"{where} ends after {len(data)} of {size} bytes; download the archive again"
        raise DataError(message)
    return data


def tar_safe_extract(tar: tarfile.TarFile, path: str, *, limits: ArchiveLimits | None = None) -> None:
    """Unpack an archive into a folder, if nothing in it leads out of that folder. Nothing is written otherwise.

    Args:
        tar: An open archive that can be read twice.
        path: The folder.
        limits: Bounds; the default ones without.

    Raises:
        DataError: A name is absolute or leads out, a link does, there is a device or pipe, or it is beyond the limits; a `ValueError`.
    """
    limits = limits or ArchiveLimits()
    where = str(tar.name or "the archive")
    members: list[tarfile.TarInfo] = []
    total = 0
    for member in tar:
        members.append(member)
        total += member.size
        if len(members) > limits.max_members:
            raise DataError(_too_many(where, limits.max_members))
        if total > limits.max_total_bytes or member.size > limits.max_file_bytes:
            raise DataError(_too_large(where, min(limits.max_total_bytes, limits.max_file_bytes)))
    links = {tuple(_parts(member.name)) for member in members if member.issym()}
    for member in members:
        problem = _problem(member, links)
        if problem:
            message = f"{where} is not unpacked: {member.name!r} {problem}"
            raise DataError(message)
    tar.extractall(path, members=members, filter="data")


def _problem(member: tarfile.TarInfo, links: set[tuple[str, ...]]) -> str:
    """Return what is wrong with a member, as half a sentence; nothing when it stays in its folder."""
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return "is a device or a pipe"
    name = _parts(member.name)
    if _leads_out([], member.name, links):
        return "leads out of the folder"
    if member.issym() and _leads_out(name[:-1], member.linkname, links):
        return f"is a link to {member.linkname!r}, which leads out of the folder"
    if member.islnk() and (_leads_out([], member.linkname, links) or tuple(_parts(member.linkname)) in links):
        return f"is a link to {member.linkname!r}, which leads out of the folder or to another link"
    return ""


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _leads_out(start: list[str], path: str, links: set[tuple[str, ...]]) -> bool:
    """Say whether a path, taken from a folder of the archive, leaves the archive or passes through one of its links."""
    if path.startswith("/") or "\\" in path:
        return True
    at = list(start)
    steps = _parts(path)
    for number, step in enumerate(steps):
        if step == ".." and not at:
            return True
        at = at[:-1] if step == ".." else [*at, step]
        # Where a link leads, ".." is not what the names say.
        if number < len(steps) - 1 and tuple(at) in links:
            return True
    return False


def _too_large(where: str, most: int) -> str:
    return f"{where} holds more than {format_bytes(most)}, the most that is accepted; raise the limits if that is as it should be"


def _too_many(where: str, most: int) -> str:
    return (
        f"{where} has more than {most} members, the most that are accepted; raise the limits if that is as it should be"
    )
