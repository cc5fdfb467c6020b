from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, MissingExtra, OptionError, OutputError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.io.writer import LanceWriter, commit_lance_checkpoint
from nemo_curator.tasks import DocumentBatch


def batch(*ids: int, task_id: str = "") -> DocumentBatch:
    table = pa.table({"id": pa.array(ids, pa.int64()), "text": pa.array([f"text {n}" for n in ids], pa.string())})
    task = DocumentBatch(dataset_name="d", data=table)
    if task_id:
        task._set_task_id("", task_id)
    return task


def rows(path: Path) -> list[int]:
    lance = pytest.importorskip("lance")
    return sorted(lance.dataset(str(path)).to_table()["id"].to_pylist())


@pytest.mark.parametrize("mode", ["inline", "threads", "processes"])
def test_nothing_is_seen_before_the_commit(mode: Literal["inline", "threads", "processes"], tmp_path: Path) -> None:
    lance = pytest.importorskip("lance")
    data, notes = tmp_path / "data", tmp_path / "notes"
    pipeline = Pipeline("lance", stages=[LanceWriter(str(data), str(notes))])
    pipeline.run(LocalExecutor(mode=mode, num_workers=2), initial_tasks=[batch(1, 2), batch(3), batch()])
    assert len(list((notes / "records").glob("*.json"))) == 3
    with pytest.raises(ValueError, match="not found"):
        lance.dataset(str(data))
    assert commit_lance_checkpoint(str(data), str(notes)) == 1
    assert rows(data) == [1, 2, 3]
    assert commit_lance_checkpoint(str(data), str(notes)) == 1
    (notes / "_COMMITTED").unlink()  # as if the process had died in between
    assert commit_lance_checkpoint(str(data), str(notes)) == 1
    assert rows(data) == [1, 2, 3]


def test_a_batch_that_is_tried_again_is_there_once(tmp_path: Path) -> None:
    pytest.importorskip("lance")
    writer = LanceWriter(str(tmp_path / "data"), str(tmp_path / "notes"))
    first = writer.process(batch(1, 2, task_id="0_1"))
    assert writer.process(batch(1, 2, task_id="0_1")).data == first.data
    writer.process(batch(3, task_id="0_2"))
    commit_lance_checkpoint(str(tmp_path / "data"), str(tmp_path / "notes"))
    assert rows(tmp_path / "data") == [1, 2, 3]


def test_append_and_overwrite(tmp_path: Path) -> None:
    pytest.importorskip("lance")
    data = tmp_path / "data"

    def add(number: int, mode: Any) -> int:
        writer = LanceWriter(str(data), str(tmp_path / f"notes {number}"), mode=mode)
        writer.check_before_run()
        writer.process(batch(number, task_id="0"))
        return commit_lance_checkpoint(str(data), str(tmp_path / f"notes {number}"))

    with pytest.raises(OutputError, match=r"no Lance data set at .* to append to"):
        add(0, "append")
    assert add(1, "create") == 1
    assert add(2, "append") == 2
    assert rows(data) == [1, 2]
    with pytest.raises(OutputError, match="already; mode='append' or 'overwrite'"):
        add(3, "create")
    assert add(4, "overwrite") == 3
    assert rows(data) == [4]


def test_a_schema_and_columns(tmp_path: Path) -> None:
    lance = pytest.importorskip("lance")
    schema = pa.schema([("text", pa.large_string()), ("id", pa.int32())])
    writer = LanceWriter(str(tmp_path / "data"), str(tmp_path / "notes"), schema, {"max_rows_per_file": 1})
    frame = pd.DataFrame({"id": [1, 2], "text": ["a", "b"], "more": [0, 0]}, index=[5, 7])
    writer.process(DocumentBatch(dataset_name="d", data=frame))
    commit_lance_checkpoint(str(tmp_path / "data"), str(tmp_path / "notes"))
    dataset = lance.dataset(str(tmp_path / "data"))
    assert dataset.schema.names == ["text", "id"]
    assert dataset.schema.field("id").type == pa.int32()
    assert len(dataset.get_fragments()) == 2
    with pytest.raises(DataError, match="does not fit the schema"):
        writer.process(DocumentBatch(dataset_name="d", data=pa.table({"id": ["x"], "text": ["a"]})))
    with pytest.raises(DataError, match="has no column 'title'; it has: id, text"):
        LanceWriter(str(tmp_path / "data"), str(tmp_path / "notes"), fields=["title"]).process(batch(1))


def test_records_that_do_not_belong_together(tmp_path: Path) -> None:
    pytest.importorskip("lance")
    data, notes = str(tmp_path / "data"), str(tmp_path / "notes")
    with pytest.raises(ValueError, match="no records of a LanceWriter"):
        commit_lance_checkpoint(data, notes)
    LanceWriter(data, notes).process(batch(1, task_id="0"))
    with pytest.raises(ValueError, match=r"are of .*data, not of .*other"):
        commit_lance_checkpoint(str(tmp_path / "other"), notes)
    LanceWriter(data, notes, fields=["id"]).process(batch(2, task_id="1"))
    with pytest.raises(ValueError, match="of different schemas"):
        commit_lance_checkpoint(data, notes)
    record = json.loads(next((tmp_path / "notes" / "records").glob("*.json")).read_text())
    assert record["dataset"] == data


def test_wrong_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="mode must be one of create, append, overwrite"):
        LanceWriter("x", "y", mode="ignore")  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match="schema cannot be among write_kwargs"):
        LanceWriter("x", "y", write_kwargs={"schema": None})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"needs the package 'lance'"):
        LanceWriter(str(tmp_path / "x"), "y").check_before_run()
