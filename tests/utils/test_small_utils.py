"""Sequences in pieces, temporary places, single files of results."""

from __future__ import annotations

import json
import logging
import math
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.utils.client_utils import FSPath
from nemo_curator.utils.grouping import pairwise, split_by_chunk_size, split_into_n_chunks
from nemo_curator.utils.operation_utils import make_pipeline_named_temporary_file, make_pipeline_temporary_dir
from nemo_curator.utils.storage_utils import get_full_path
from nemo_curator.utils.writer_utils import write_bytes, write_csv, write_json, write_parquet

# Pieces


@given(st.lists(st.integers(0, 9)), st.integers(1, 20), st.booleans())
def test_chunks_end_where_they_are_large_enough(items: list[int], size: int, drop: bool) -> None:
    chunks = list(split_by_chunk_size(iter(items), size, lambda item: item, drop_incomplete_chunk=drop))
    together = [item for chunk in chunks for item in chunk]
    assert together == items[: len(together)]
    for chunk in chunks:
        assert sum(chunk[:-1]) < size
    complete = chunks if drop else chunks[:-1]
    assert all(sum(chunk) >= size for chunk in complete)
    assert sum(items[len(together) :]) < size if drop else together == items


def test_an_item_counts_one_and_is_taken_when_it_is_needed() -> None:
    def numbers() -> Iterator[int]:
        yield from range(3)
        raise AssertionError

    assert next(split_by_chunk_size(numbers(), 2)) == [0, 1]
    assert list(split_by_chunk_size(range(5), 2)) == [[0, 1], [2, 3], [4]]
    with pytest.raises(ValueError, match="chunk_size must be above 0, got 0"):
        split_by_chunk_size([1], 0)


@given(st.lists(st.integers()), st.integers(1, 12))
def test_n_chunks_are_of_like_length(items: list[int], number: int) -> None:
    chunks = list(split_into_n_chunks(iter(items), number))
    assert [item for chunk in chunks for item in chunk] == items
    assert len(chunks) == min(number, len(items))
    assert {len(chunk) for chunk in chunks} <= {len(items) // max(len(chunks), 1), math.ceil(len(items) / number)}


def test_no_chunks_is_no_number_of_chunks() -> None:
    with pytest.raises(ValueError, match="num_chunks must be 1 or more, got 0"):
        split_into_n_chunks([1], 0)


def test_pairs() -> None:
    assert list(pairwise("abc")) == [("a", "b"), ("b", "c")]
    assert list(pairwise("a")) == []


# Places


def test_temporary_places_go_also_when_the_block_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    places: list[Path] = []

    def fail() -> None:
        with make_pipeline_temporary_dir("sub") as folder:
            places.append(folder)
            (folder / "deep").mkdir()
            (folder / "deep" / "file").touch()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert places[0].parent == tmp_path / "sub"
    with make_pipeline_named_temporary_file("sub", ".mp4") as file:
        places.append(file)
        assert (file.suffix, file.read_bytes()) == (".mp4", b"")
        file.unlink()
    assert not any(place.exists() for place in places)
    assert list((tmp_path / "sub").iterdir()) == []


def test_a_path_is_put_together() -> None:
    assert get_full_path("/a", "b", "c.mp4") == Path("/a/b/c.mp4")


# Files


def _target(kind: str, folder: Path, name: str) -> Any:
    place = f"/results/{folder.name}/deep/{name}"
    return {
        "path": folder / "deep" / name,
        "text": str(folder / "deep" / name),
        "url": f"memory:/{place}",
        "path that knows its filesystem": FSPath(MemoryFileSystem(), place),
    }[kind]


def _content(target: Any) -> bytes:
    path = target if isinstance(target, FSPath) else FSPath(MemoryFileSystem(), str(target).removeprefix("memory:/"))
    return path.get_bytes_cat_ranges() if "results" in str(target) else Path(target).read_bytes()


@pytest.mark.parametrize("kind", ["path", "text", "url", "path that knows its filesystem"])
def test_what_is_there_stays_unless_it_shall_be_replaced(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = _target(kind, tmp_path, "clip.bin")
    with caplog.at_level(logging.INFO):
        write_bytes(b"first", target, "clip", "a.mp4", verbose=True)
        assert "clip of a.mp4: 5 bytes written to" in caplog.text
        write_bytes(b"second", target, "clip", "a.mp4", verbose=True)
        assert "is left as it is" in caplog.text
        assert _content(target) == b"first"
        write_bytes(b"third", target, "clip", "a.mp4", verbose=False, overwrite=True)
        assert "is replaced" in caplog.text
    assert _content(target) == b"third"
    with pytest.raises(NotImplementedError, match="pass overwrite=True"):
        write_bytes(b"fourth", target, "clip", "a.mp4", verbose=False, backup_and_overwrite=True)


def test_formats(tmp_path: Path) -> None:
    name = uuid.uuid5(uuid.NAMESPACE_URL, "a")
    write_json({"id": name, "n": [1]}, tmp_path / "a.json", "meta", "a.mp4", verbose=False)
    assert json.loads((tmp_path / "a.json").read_text()) == {"id": str(name), "n": [1]}
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json({"id": object()}, tmp_path / "b.json", "meta", "a.mp4", verbose=False)
    assert not (tmp_path / "b.json").exists()
    rows = [{"id": name, "vector": [1.0, 2.0]}, {"id": name, "vector": None}]
    write_parquet(rows, tmp_path / "a.parquet", "vectors", "a.mp4", verbose=False)
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == [
        {"id": str(name), "vector": [1.0, 2.0]},
        {"id": str(name), "vector": None},
    ]
    write_csv(tmp_path / "a.csv", [["a", 'say "b"'], [1, "c\nd"]])
    assert (tmp_path / "a.csv").read_bytes() == b'a,"say ""b"""\r\n1,"c\nd"\r\n'
