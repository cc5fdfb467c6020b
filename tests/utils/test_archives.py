"""Archives made to do harm, and archives that mean well."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_curator.errors import DataError
from nemo_curator.utils.archives import ArchiveLimits, gunzip, iter_tar_files
from nemo_curator.utils.file_utils import tar_safe_extract


def _member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, content


def _tar(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _extract(data: bytes, folder: Path, limits: ArchiveLimits | None = None) -> None:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        tar_safe_extract(archive, str(folder), limits=limits)


HOSTILE: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
    "absolute": [_member("/tmp/evil", content=b"x")],
    "traversal": [_member("a/../../evil", content=b"x")],
    "link to an absolute path": [_member("a", tarfile.SYMTYPE, "/etc")],
    "link that leads out": [_member("d/a", tarfile.SYMTYPE, "../../evil")],
    "hard link that leads out": [_member("d/a", tarfile.LNKTYPE, "../evil")],
    "file behind a link": [_member("a", tarfile.SYMTYPE, "."), _member("a/evil", content=b"x")],
    "link behind a link": [_member("d", tarfile.SYMTYPE, "."), _member("d/up", tarfile.SYMTYPE, "..")],
    "link through a link": [_member("d/s", tarfile.SYMTYPE, "."), _member("a", tarfile.SYMTYPE, "d/s/../..")],
    "hard link to a link": [_member("d/s", tarfile.SYMTYPE, ".."), _member("a", tarfile.LNKTYPE, "d/s")],
    "character device": [_member("a", tarfile.CHRTYPE)],
    "block device": [_member("a", tarfile.BLKTYPE)],
    "pipe": [_member("a", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_leaves_the_folder(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match="is not unpacked"):
        _extract(_tar(_member("fine", content=b"x"), *HOSTILE[kind]), folder)
    assert list(folder.iterdir()) == []
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "folder"]


def test_what_means_well_is_unpacked(tmp_path: Path) -> None:
    good = [
        _member("./d/a.txt", content=b"a"),
        _member("d/b", tarfile.SYMTYPE, "../d/a.txt"),
        _member("c", tarfile.LNKTYPE, "d/a.txt"),
    ]
    _extract(_tar(*good), tmp_path)
    assert [(tmp_path / name).read_bytes() for name in ("d/a.txt", "d/b", "c")] == [b"a"] * 3


@pytest.mark.parametrize(
    "limits", [ArchiveLimits(max_members=1), ArchiveLimits(max_file_bytes=4), ArchiveLimits(max_total_bytes=9)]
)
def test_unpacking_is_bounded(limits: ArchiveLimits, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="raise the limits"):
        _extract(_tar(_member("a", content=b"12345"), _member("b", content=b"12345")), tmp_path, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "limits", [ArchiveLimits(max_members=1), ArchiveLimits(max_file_bytes=4), ArchiveLimits(max_total_bytes=9)]
)
def test_reading_is_bounded(limits: ArchiveLimits) -> None:
    data = _tar(_member("a", content=b"12345"), _member("b", content=b"12345"))
    with pytest.raises(DataError, match="raise the limits"):
        list(iter_tar_files(io.BytesIO(data), "test.tar", limits))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_regular_files_are_read_and_nothing_else(mode: str) -> None:
    others = [
        _member("l", tarfile.SYMTYPE, "/etc/hostname"),
        _member("p", tarfile.FIFOTYPE),
        _member("d", tarfile.DIRTYPE),
    ]
    data = _tar(_member("../a", content=b"1"), *others, _member("b", content=b""), mode=mode)
    assert list(iter_tar_files(io.BytesIO(data), "test.tar")) == [("../a", b"1"), ("b", b"")]


def _truncated(data: bytes) -> bytes:
    return data[:700]


def _scrambled(data: bytes) -> bytes:
    return bytes(byte ^ 0x5A for byte in data)


@pytest.mark.parametrize("damage", [_truncated, _scrambled, lambda data: b""], ids=["truncated", "scrambled", "empty"])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_damaged_archives_are_named(damage: Callable[[bytes], bytes], mode: str) -> None:
    import random

    content = random.Random(1).randbytes(5000)
    with pytest.raises(DataError, match=r"test\.tar"):
        list(iter_tar_files(io.BytesIO(damage(_tar(_member("a", content=content), mode=mode))), "test.tar"))


def test_gunzip_is_bounded_and_complete() -> None:
    data = gzip.compress(b"x" * 1_000_000)
    assert gunzip(data, 1_000_000, "a.gz") == b"x" * 1_000_000
    with pytest.raises(DataError, match="raise the limits"):
        gunzip(data, 999_999, "a.gz")
    with pytest.raises(DataError, match="ends too early"):
        gunzip(data[:-20], 1_000_000, "a.gz")
    with pytest.raises(DataError, match="is not a gzip file"):
        gunzip(b"hello", 10, "a.gz")
