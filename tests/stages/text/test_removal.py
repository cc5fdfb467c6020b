"""Removal of what a deduplication has named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.exact import ExactDeduplicationWorkflow
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.text.deduplication import TextDuplicatesRemovalStage, TextDuplicatesRemovalWorkflow
from nemo_curator.tasks import DocumentBatch, FileGroupTask

INLINE = LocalExecutor(mode="inline")


def _ids(folder: Path, ids: list[Any], name: str = "id", files: int = 2) -> str:
    folder.mkdir(exist_ok=True)
    for number in range(files):
        pq.write_table(pa.table({name: ids[number::files]}), folder / f"part.{number}.parquet", row_group_size=2)
    return str(folder)


@settings(max_examples=25)
@given(data=st.data(), as_frame=st.booleans(), text=st.booleans())
def test_exactly_what_is_listed_goes(data: Any, as_frame: bool, text: bool, tmp_path_factory: Any) -> None:
    numbers = st.lists(st.integers(0, 40), unique=True, max_size=15)
    ids, listed = data.draw(numbers), sorted(data.draw(numbers))
    kind = pa.string() if text else pa.int64()
    make = (lambda values: [f"{value:02}" for value in values]) if text else list
    folder = tmp_path_factory.mktemp("ids") / "ids"
    folder.mkdir()
    pq.write_table(pa.table({"id": pa.array(make(listed), kind)}), folder / "a.parquet", row_group_size=3)
    table = pa.table({"n": ids, CURATOR_DEDUP_ID_STR: pa.array(make(ids), kind)})
    batch = DocumentBatch("d", table.to_pandas() if as_frame else table)
    stage = TextDuplicatesRemovalStage(str(folder))
    found = stage.process(batch)
    assert found.to_pyarrow()["n"].to_pylist() == [value for value in ids if value not in listed]
    inside = [value for value in listed if ids and min(ids) <= value <= max(ids)]
    assert found._metadata["num_removed"] == len(inside)
    assert stage._consume_drops().get("duplicate", 0) == len(set(ids) & set(listed))


def test_the_column_of_ids_is_left_out(tmp_path: Path) -> None:
    folder = _ids(tmp_path / "ids", [1, 2])
    for data in (pa.table({"key": [1, 3], "t": ["a", "b"]}), pd.DataFrame({"key": [1, 3], "t": ["a", "b"]})):
        stage = TextDuplicatesRemovalStage(folder, "key", drop_id_field=True)
        found = stage.process(DocumentBatch("d", data)).to_pyarrow()
        assert (found.column_names[:1], found["t"].to_pylist()) == (["t"], ["b"])


def test_bad_ids_are_told(tmp_path: Path) -> None:
    folder = _ids(tmp_path / "ids", [1, 2], name="key")
    batch = DocumentBatch("d", pa.table({"n": [1, 5]}))
    with pytest.raises(DataError, match=r"has no column 'id'; it has: key. Name it with duplicate_id_field"):
        TextDuplicatesRemovalStage(folder, "n").process(batch)
    with pytest.raises(DataError, match=r"ids to remove in part.0.parquet are of type int64, those of documents"):
        TextDuplicatesRemovalStage(folder, "n", "key").process(DocumentBatch("d", pa.table({"n": ["a"]})))
    with pytest.raises(DataError, match="has no column 'm'; it has: n"):
        TextDuplicatesRemovalStage(folder, "m", "key").process(batch)
    with pytest.raises(InputError, match="nowhere, with the ids to remove, is not there"):
        TextDuplicatesRemovalStage(str(tmp_path / "nowhere")).check_before_run()
    with pytest.raises(OptionError, match="storage_options and nothing else of read_kwargs; got columns"):
        TextDuplicatesRemovalStage(folder, read_kwargs={"columns": []})


def _documents(folder: Path) -> str:
    folder.mkdir()
    for number in range(3):
        rows = [json.dumps({"n": 10 * number + at, "text": f"text {at % (number + 2)}"}) for at in range(10)]
        (folder / f"{number}.jsonl").write_text("\n".join(rows))
    return str(folder)


def _kept(folder: Path) -> list[int]:
    return sorted(json.loads(line)["n"] for path in folder.glob("*.jsonl") for line in path.read_text().splitlines())


def test_ids_are_assigned_again_for_removal(tmp_path: Path) -> None:
    folder, found = _documents(tmp_path / "in"), tmp_path / "found"
    # Blocks that cut files and put several together: groups must come out as they did before.
    ExactDeduplicationWorkflow(str(found), folder, "jsonl", 200, perform_removal=True).run(executor=INLINE)
    workflow = TextDuplicatesRemovalWorkflow(
        folder,
        str(found / "ExactDuplicateIds"),
        str(tmp_path / "out"),
        input_filetype="jsonl",
        input_blocksize=200,
        duplicate_id_field=CURATOR_DEDUP_ID_STR,
        id_generator_path=str(found / "exact_id_generator.json"),
        output_filetype="jsonl",
        drop_id_field=True,
    )
    result = workflow.run(INLINE)
    assert _kept(tmp_path / "out") == _kept(found / "deduplicated") == [0, 1, 12, 23]
    assert result.get_metadata("num_duplicates_removed") == 26
    assert list(result.pipeline_tasks) == ["removal"]


def test_other_ids_make_a_resumed_run_look_again(tmp_path: Path) -> None:
    folder = _documents(tmp_path / "in")

    def run(ids: list[int]) -> list[int]:
        path = _ids(tmp_path / "ids", ids)
        workflow = TextDuplicatesRemovalWorkflow(
            folder, path, str(tmp_path / "out"), "jsonl", id_field="n", output_filetype="jsonl", output_mode="overwrite"
        )
        workflow.run(INLINE, checkpoint_path=str(tmp_path / "checkpoint"))
        return _kept(tmp_path / "out")

    assert run([1, 2]) == [0, *range(3, 30)]
    assert run([5, 29]) == [*range(5), *range(6, 29)]


def test_groups_of_files_are_given(tmp_path: Path) -> None:
    folder, ids = _documents(tmp_path / "in"), _ids(tmp_path / "ids", [3])
    options: dict[str, Any] = {"input_filetype": "jsonl", "id_field": "n", "output_filetype": "jsonl"}
    workflow = TextDuplicatesRemovalWorkflow(None, ids, str(tmp_path / "out"), input_fields=["text"], **options)
    workflow.run(INLINE, initial_tasks=[FileGroupTask("d", [f"{folder}/0.jsonl"])])
    assert _kept(tmp_path / "out") == [0, 1, 2, *range(4, 10)]
    with pytest.raises(ValueError, match="there is nothing to read"):
        workflow.run(INLINE)


def test_wrong_options_are_refused() -> None:
    make = TextDuplicatesRemovalWorkflow
    with pytest.raises(ValueError, match="input_filetype must be one of"):
        make("in", "ids", "out", "csv")
    with pytest.raises(ValueError, match="output_filetype must be one of"):
        make("in", "ids", "out", output_filetype="csv")
    with pytest.raises(ValueError, match="drop_id_field=True leaves 'id' out, but output_fields names it"):
        make("in", "ids", "out", id_field="id", output_fields=["id"], drop_id_field=True)
    with pytest.raises(OptionError, match="append"):
        make("in", "ids", "out", output_mode="append")


def test_the_stage_in_a_pipeline(tmp_path: Path) -> None:
    batch = DocumentBatch("d", pa.table({"key": [1, 2, 3]}))
    pipeline = Pipeline("p", stages=[TextDuplicatesRemovalStage(_ids(tmp_path / "ids", [2]), "key")])
    (found,) = pipeline.run(INLINE, initial_tasks=[batch]) or []
    assert isinstance(found, DocumentBatch)
    assert found.to_pyarrow()["key"].to_pylist() == [1, 3]
    assert pipeline.last_report is not None
    assert pipeline.last_report.stages[0].counts.items_dropped == {"duplicate": 1}
