"""Rows that go through files to the part that they belong to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.errors import DataError
from nemo_curator.stages.deduplication.parts import PartFolder, PartTask, PartWriter
from nemo_curator.stages.deduplication.shuffle import read_shuffled, write_by_part


class Writer(PartWriter[PartTask]):
    """Whoever writes."""

    name = "writer"

    def process(self, task: PartTask) -> None:
        return None


def _table(rows: int, name: str, width: int) -> pa.Table:
    texts = pa.array([f"{name}{row}" * width for row in range(rows)], pa.large_string())
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(2 * rows, dtype=np.float32)), 2)
    return pa.table({"text": texts, "vector": vectors})


@given(
    files=st.lists(st.lists(st.integers(0, 4), max_size=12), min_size=1, max_size=3),
    width=st.sampled_from([1, 40_000]),  # beyond which rows are compressed
)
def test_every_row_comes_to_its_part_in_order(
    files: list[list[int]], width: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = PartFolder.at(str(tmp_path_factory.mktemp("shuffled")))
    wanted: list[list[str]] = [[] for _ in range(5)]
    for number, parts in enumerate(files):
        table = _table(len(parts), chr(ord("a") + number), width)
        write_by_part(folder, str(number), table, np.array(parts, np.int64), 5, Writer())
        for part, text in zip(parts, table["text"].to_pylist(), strict=True):
            wanted[part].append(text)
    for part, texts in enumerate(wanted):
        found = read_shuffled(folder, folder.listed(), part, Writer())
        found.validate(full=True)
        assert found["text"].to_pylist() == texts
        assert found.schema.types == [pa.large_string(), pa.list_(pa.float32(), 2)]


def test_rows_are_the_same_bytes_again(tmp_path: Path) -> None:
    contents: list[bytes] = []
    for name in ("first", "second"):
        folder = PartFolder.at(str(tmp_path / name))
        task = write_by_part(folder, "rows", _table(7, "a", 30_000), np.arange(7) % 3, 3, Writer())
        contents.append(Path(task.data[0]).read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_file_that_was_cut_off_is_named(keep: int, tmp_path: Path) -> None:
    folder = PartFolder.at(str(tmp_path))
    file = Path(write_by_part(folder, "rows", _table(7, "a", 1), np.arange(7) % 3, 3, Writer()).data[0])
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"rows\.arrow is gone or damaged"):
        read_shuffled(folder, folder.listed(), 0, Writer())
