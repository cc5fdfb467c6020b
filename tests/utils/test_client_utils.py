from __future__ import annotations

import pickle

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from nemo_curator.utils.client_utils import FSPath, is_remote_url


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        ("s3://bucket/key", True),
        ("memory://x", True),
        ("simplecache::s3://bucket/key", True),
        ("/data/x", False),
        ("data/x", False),
        ("file:///data/x", False),
        ("C:\\data\\x", False),
        ("", False),
        (None, False),
    ],
)
def test_remote_urls_are_told_from_paths(url: str | None, remote: bool) -> None:
    assert is_remote_url(url) is remote


def test_a_path_knows_its_filesystem() -> None:
    path = FSPath(MemoryFileSystem(), "/fspath/a.bin")
    with path.open("wb") as handle:
        handle.write(bytes(range(100)))
    assert str(path) == "/fspath/a.bin"
    assert path.as_posix() == "memory:///fspath/a.bin"
    assert repr(path) == "FSPath('memory:///fspath/a.bin')"
    assert FSPath(LocalFileSystem(), "/data/a").as_posix() == "/data/a"
    assert pickle.loads(pickle.dumps(path)) == path
    assert len({path, FSPath(MemoryFileSystem(), "/fspath/a.bin")}) == 1


@pytest.mark.parametrize("part_size", [1, 7, 100, 1000])
def test_content_comes_in_parts(part_size: int) -> None:
    fs = MemoryFileSystem()
    fs.pipe_file("/fspath/parts", bytes(range(100)))
    fs.pipe_file("/fspath/empty", b"")
    assert FSPath(fs, "/fspath/parts").get_bytes_cat_ranges(part_size=part_size) == bytes(range(100))
    assert FSPath(fs, "/fspath/empty").get_bytes_cat_ranges() == b""
