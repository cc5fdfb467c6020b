from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from nemo_curator.utils.atomic_io import (
    atomic_output,
    atomic_path,
    fsync_directory,
    write_json_atomically,
    write_json_atomically_if_absent,
)


class Boom(BaseException):
    """Not an Exception: an interrupt must leave nothing behind either."""


def interrupted(path: Any, content: Any, **options: Any) -> None:
    with atomic_output(path, **options) as handle:
        handle.write(content)
        raise Boom


@pytest.mark.parametrize("fs", [None, LocalFileSystem()], ids=["path", "fsspec"])
def test_a_file_appears_when_the_block_ends(tmp_path: Path, fs: LocalFileSystem | None) -> None:
    target = tmp_path / "out.bin"
    with atomic_output(str(target), fs=fs) as handle:
        handle.write(b"new")
        assert not target.exists()
        (hidden,) = tmp_path.iterdir()
        assert hidden.name.startswith(".out.bin.")
        assert hidden.name.endswith(".tmp")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_the_old_file_stays_when_the_block_raises(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(Boom):
        interrupted(target, "half", mode="w")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_long_name_fits(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 250)
    with atomic_output(target) as handle:
        handle.write(b"x")
    assert target.read_bytes() == b"x"


def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("")
    write_json_atomically(tmp_path / "atomic", {})
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_other_filesystems_see_complete_files_only() -> None:
    fs = MemoryFileSystem()
    fs.makedirs("/atomic", exist_ok=True)
    fs.pipe_file("/atomic/out", b"old")
    with pytest.raises(Boom):
        interrupted("/atomic/out", b"half", fs=fs)
    assert fs.find("/atomic") == ["/atomic/out"]
    assert fs.cat_file("/atomic/out") == b"old"
    with atomic_output("/atomic/out", fs=fs, mode="w") as handle:
        handle.write("néw")
        assert fs.cat_file("/atomic/out") == b"old"
    assert fs.find("/atomic") == ["/atomic/out"]
    assert fs.cat_file("/atomic/out") == "néw".encode()


def test_a_filesystem_that_does_not_rename_over_files() -> None:
    class Strict(MemoryFileSystem):
        cachable = False

        def mv(self, path1: str, path2: str, *args: object, **kwargs: object) -> None:
            if self.exists(path2):
                raise FileExistsError(path2)
            super().mv(path1, path2, *args, **kwargs)

    fs = Strict()
    fs.pipe_file("/strict/out", b"old")
    with atomic_output("/strict/out", fs=fs) as handle:
        handle.write(b"new")
    assert fs.cat_file("/strict/out") == b"new"


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="mode must be 'wb' or 'w', got 'ab'"),
        atomic_output(tmp_path / "x", mode="ab"),
    ):
        pass
    with pytest.raises(ValueError, match="not on the local disk; pass its filesystem"), atomic_output("memory://x"):
        pass
    with pytest.raises(FileNotFoundError), atomic_output(tmp_path / "no" / "x"):
        pass


def test_json_is_written_with_a_newline(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_json_atomically(target, {"b": 1, "a": "é"}, separators=(",", ":"))
    assert target.read_text() == '{"a":"\\u00e9","b":1}\n'
    write_json_atomically(target, {"b": 1, "a": 2}, indent=1, sort_keys=False)
    assert target.read_text() == '{\n "b": 1,\n "a": 2\n}\n'


def test_json_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    for write in (write_json_atomically, write_json_atomically_if_absent):
        with pytest.raises(TypeError):
            write(tmp_path / "a.json", object())
    assert list(tmp_path.iterdir()) == []


def test_exactly_one_of_many_writes_if_absent(tmp_path: Path) -> None:
    target = tmp_path / "claim.json"
    with ThreadPoolExecutor(8) as pool:
        wrote = list(pool.map(lambda index: write_json_atomically_if_absent(target, index), range(8)))
    assert wrote.count(True) == 1
    assert json.loads(target.read_text()) == wrote.index(True)
    assert list(tmp_path.iterdir()) == [target]


def test_fsync_of_a_folder_never_raises(tmp_path: Path) -> None:
    fsync_directory(tmp_path)
    fsync_directory(tmp_path / "missing")


def test_a_file_written_by_name_appears_complete(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with atomic_path(target) as name:
        Path(name).write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    with pytest.raises(TypeError), atomic_path(target) as name:
        Path(name).write_bytes("half")  # type: ignore[arg-type] - it opens the file and then fails
    with pytest.raises(FileNotFoundError), atomic_path(target):
        pass  # nothing was written
    assert target.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
