from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, MissingExtra, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.io.reader import LancePartitioningStage, LanceReader, LanceReaderStage
from nemo_curator.tasks import DocumentBatch, EmptyTask, LanceReadTask


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A data set of four fragments and two versions."""
    lance = pytest.importorskip("lance")
    rows = pa.table({"id": pa.array(range(10), pa.int64()), "text": [f"text {row}" for row in range(10)]})
    folder = str(tmp_path / "Pages.lance")
    lance.write_dataset(rows.slice(0, 6), folder, max_rows_per_file=3)
    lance.write_dataset(rows.slice(6), folder, max_rows_per_file=3, mode="append")
    return folder


def partition(*args: Any, **options: Any) -> list[LanceReadTask]:
    return LancePartitioningStage(*args, **options).process(EmptyTask())


def read(task: LanceReadTask, **options: Any) -> DocumentBatch:
    return LanceReaderStage(**options).process(task)


def test_fragments_are_grouped_and_the_version_is_settled(path: str) -> None:
    tasks = partition(path, 3)
    assert [(task.data, task.version, task.dataset_name) for task in tasks] == [
        ([0, 1, 2], 2, "pages"),
        ([3], 2, "pages"),
    ]
    assert tasks[0]._metadata == {"partition_index": 0, "total_partitions": 2, "source_files": [path]}
    assert [task.data for task in partition(path, read_kwargs={"version": 1})] == [[0, 1]]
    assert [task.data for task in partition(path, 1, fragment_ids=[2, 0])] == [[0], [2]]
    with pytest.raises(ValueError, match=r"version 2 of .* has no fragments 7, 9"):
        partition(path, fragment_ids=[9, 1, 7])
    assert len({task.get_deterministic_id() for task in [*tasks, *partition(path, 2)]}) == 4


def test_rows_come_with_where_they_are(path: str) -> None:
    (task,) = partition(path, fragment_ids=[1, 3])
    batch = read(task, fields=["text"])
    rows = batch.to_pyarrow().to_pylist()
    assert [row["text"] for row in rows] == ["text 3", "text 4", "text 5", "text 9"]
    assert [row["__lance_fragid"] for row in rows] == [1, 1, 1, 3]
    assert rows[1]["__lance_rowaddr"] == (1 << 32) + 1
    assert list(rows[0]) == ["text", "__lance_rowid", "__lance_rowaddr", "__lance_fragid"]
    lance = batch._metadata["lance"]
    assert (lance["version"], lance["fragment_ids"], lance["has_stable_row_ids"]) == (2, [1, 3], False)
    assert lance["schema"].names == ["id", "text"]
    assert batch._metadata["source_files"] == [path]


def test_options_of_the_scan(path: str) -> None:
    (task,) = partition(path)
    plain = read(task, include_lance_metadata=False, read_kwargs={"filter": "id > 7"}).to_pyarrow()
    assert plain.to_pydict() == {"id": [8, 9], "text": ["text 8", "text 9"]}
    assert read(task, read_kwargs={"filter": "id > 70"}).num_items == 0
    with pytest.raises(DataError, match="cannot be read"):
        read(task, read_kwargs={"filter": "nonsense >"})
    with pytest.raises(DataError, match="has no column 'title'; it has: id, text"):
        read(task, fields=["text", "title"])


def test_blobs_are_read_as_bytes(tmp_path: Path) -> None:
    lance = pytest.importorskip("lance")
    kind = pa.field("image", pa.large_binary(), metadata={"lance-encoding:blob": "true"})
    table = pa.table({"image": pa.array([b"one", None, b"three"], pa.large_binary())}, schema=pa.schema([kind]))
    lance.write_dataset(table, str(tmp_path / "blobs"))
    (task,) = partition(str(tmp_path / "blobs"))
    assert read(task, include_lance_metadata=False).to_pyarrow()["image"].to_pylist() == [b"one", None, b"three"]


@pytest.mark.parametrize("mode", ["inline", "threads", "processes"])
def test_the_reader_as_a_user_has_it(mode: Literal["inline", "threads", "processes"], path: str) -> None:
    reader = LanceReader(path, 1, fields=["id"], include_lance_metadata=False)
    executor = LocalExecutor(mode=mode, num_workers=2, preserve_order=True)
    batches = Pipeline("lance", stages=[reader]).run(executor) or []
    assert [batch.to_pyarrow()["id"].to_pylist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert reader.get_description() == f"Read {path}: 1 fragments a task, columns id"


def test_what_is_not_there(path: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no Lance data set at .*none"):
        LancePartitioningStage(str(tmp_path / "none")).check_before_run()
    with pytest.raises(InputError, match="no version 9 of the Lance data set"):
        LancePartitioningStage(path, read_kwargs={"version": 9}).check_before_run()


def test_wrong_options(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="fragments_per_partition"):
        LanceReader("x", 0)
    with pytest.raises(OptionError, match="fields must be a list"):
        LanceReader("x", fields="text")  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match="columns cannot be among read_kwargs"):
        LanceReader("x", read_kwargs={"columns": ["a"]})
    with pytest.raises(NotImplementedError, match="task_type='image'"):
        LanceReader("x", task_type="image").decompose()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"needs the package 'lance'.*\[lance\]"):
        LanceReader("x").decompose()[0].check_before_run()
