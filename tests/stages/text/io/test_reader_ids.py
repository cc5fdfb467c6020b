"""Ids that readers give documents: by the files alone, whoever reads them and in whatever order."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR, IdGeneratorBase
from nemo_curator.stages.text.io.reader import JsonlReader, JsonlReaderStage, ParquetReader
from nemo_curator.stages.text.io.writer import ParquetWriter
from nemo_curator.tasks import FileGroupTask


def _lines(folder: Path, files: int = 5) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        rows = [json.dumps({"text": f"{number}-{row}"}) for row in range(3 + number)]
        (folder / f"{number}.jsonl").write_text("\n\n".join(rows) + "\n")
    return folder


def _ids(reader: Any, **options: Any) -> dict[str, int]:
    outputs = Pipeline("ids", stages=[reader]).run(LocalExecutor(**options)) or []
    found: dict[str, int] = {}
    for task in outputs:
        table = task.to_pyarrow()  # pyright: ignore[reportAttributeAccessIssue]
        found |= dict(zip(table["text"].to_pylist(), table[CURATOR_DEDUP_ID_STR].to_pylist(), strict=True))
    return found


@pytest.mark.parametrize("options", [{"mode": "inline"}, {"mode": "threads", "num_workers": 4}, {"num_workers": 2}])
def test_ids_are_the_same_wherever_rows_are_read(options: dict[str, Any], tmp_path: Path) -> None:
    folder = _lines(tmp_path / "in")
    wanted = {f"{number}-{row}" for number in range(5) for row in range(3 + number)}
    found = _ids(JsonlReader(str(folder), _generate_ids=True), **options)
    assert set(found) == wanted
    assert [found[text] for text in sorted(wanted)] == list(range(len(wanted)))


def test_what_was_generated_is_assigned_again(tmp_path: Path) -> None:
    folder, path = _lines(tmp_path / "in"), str(tmp_path / "new" / "ids.json")
    # Small blocks cut the files into parts; each part is registered on its own.
    options: dict[str, Any] = {"blocksize": 60, "id_generator_path": path}
    first = _ids(JsonlReader(str(folder), _generate_ids=True, **options), mode="inline")
    assert sorted(first.values()) == list(range(25))
    assert _ids(JsonlReader(str(folder), _assign_ids=True, **options), mode="inline") == first
    other = JsonlReader(str(folder), _assign_ids=True, id_generator_path=path)
    with pytest.raises(DataError, match=r"has no ids for .*jsonl as a group of 1 file.*grouped as they were"):
        _ids(other, mode="inline")
    (folder / "4.jsonl").write_text('{"text": "another"}\n')
    with pytest.raises(InputError, match="is not there"):
        _ids(JsonlReader(str(folder), _assign_ids=True, id_generator_path=str(tmp_path / "no")), mode="inline")


def test_a_file_that_grew_is_told(tmp_path: Path) -> None:
    folder, path = _lines(tmp_path / "in"), str(tmp_path / "ids.json")
    _ids(JsonlReader(str(folder), _generate_ids=True, id_generator_path=path), mode="inline")
    with (folder / "2.jsonl").open("a") as handle:
        handle.write('{"text": "late"}\n')
    with pytest.raises(DataError, match=r"2.jsonl and what belongs to it has 6 rows now, and had 5"):
        _ids(JsonlReader(str(folder), _assign_ids=True, id_generator_path=path), mode="inline")


@pytest.mark.parametrize("blocksize", [None, 2000])
def test_parquet_rows_are_counted_in_footers(blocksize: int | None, tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(1000)]
    for start in (0, 500):
        table = pa.table({"text": texts[start : start + 500]})
        pq.write_table(table, tmp_path / f"{start}.parquet", row_group_size=70)
    found = _ids(ParquetReader(str(tmp_path), blocksize=blocksize, _generate_ids=True), mode="inline")
    assert found == {text: number for number, text in enumerate(texts)}


@pytest.mark.parametrize("kwargs", [{"engine": "pandas"}, {"engine": "json"}, {"compression": "gzip"}])
def test_rows_are_counted_as_they_are_read(kwargs: dict[str, Any], tmp_path: Path) -> None:
    rows = b'{"text": "a"}\n \n{"text": "b"}'
    (tmp_path / "a.jsonl").write_bytes(gzip.compress(rows) if "compression" in kwargs else rows)
    reader = JsonlReader(str(tmp_path), read_kwargs=kwargs, _generate_ids=True)
    assert _ids(reader, mode="inline") == {"a": 0, "b": 1}


def test_a_column_of_ids_that_is_there_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "a", CURATOR_DEDUP_ID_STR: 7}))
    assert _ids(JsonlReader(str(tmp_path), _generate_ids=True), mode="inline") == {"a": 7}
    assert "which stays as it is" in caplog.text


def test_a_stage_alone_says_what_is_missing() -> None:
    stage = JsonlReaderStage(_generate_ids=True)
    assert stage.outputs() == (["data"], [CURATOR_DEDUP_ID_STR])
    task = FileGroupTask("d", [__file__])
    with pytest.raises(DataError, match="nobody has numbered the rows"):
        stage._first_id_and_rows(task)


def test_a_resumed_run_reads_again_what_has_other_ids(tmp_path: Path) -> None:
    folder = _lines(tmp_path / "in")

    def run() -> tuple[int, list[int]]:
        stages: list[Any] = [JsonlReader(str(folder), _generate_ids=True), ParquetWriter(str(tmp_path / "out"))]
        pipeline = Pipeline("p", stages=stages)
        pipeline.run(LocalExecutor(mode="inline"), checkpoint_path=str(tmp_path / "c"))
        assert pipeline.last_report is not None
        ids = pq.read_table(tmp_path / "out", columns=[CURATOR_DEDUP_ID_STR])[CURATOR_DEDUP_ID_STR]
        return pipeline.last_report.sources_left_out, sorted(ids.to_pylist())

    assert run() == (0, list(range(25)))
    assert run() == (5, list(range(25)))
    with (folder / "2.jsonl").open("a") as handle:
        handle.write('{"text": "late"}\n')
    # Of the five files the first two have the ids that they had.
    assert run() == (2, list(range(26)))


def test_the_generator_by_itself(tmp_path: Path) -> None:
    generator = IdGeneratorBase(start_id=10)
    assert (generator.register_batch(["a", "b"], 5), generator.register_batch("c", 0)) == (10, 15)
    assert (generator.register_batch(["a", "b"], 5), generator.next_id) == (10, 15)
    assert generator.hash_files(["a", "b"]) == generator.hash_files("a;b")
    assert generator.get_batch_range(["a", "b"], None) == generator.get_batch_range(None, generator.hash_files("a;b"))
    assert generator.get_batch_range("c") == (15, 14)
    with pytest.raises(ValueError, match="not by both"):
        generator.get_batch_range("a", "key")
    with pytest.raises(KeyError):
        generator.get_batch_range("unknown")
    with pytest.raises(DataError, match=r"the group of 2 files from a on had 5 rows .* has 6 now"):
        generator.register_batch(["a", "b"], 6)
    path = tmp_path / "ids.json"
    generator.to_disk(str(path))
    assert json.loads(path.read_text()) == {
        "next_id": 15,
        "batch_registry": {generator.hash_files("a;b"): [10, 14], generator.hash_files("c"): [15, 14]},
    }
    again = IdGeneratorBase.from_disk(str(path))
    assert (again.next_id, again.batch_registry) == (15, generator.batch_registry)
    for wrong in ("[]", "{", '{"next_id": 1.5, "batch_registry": {}}', '{"next_id": 1, "batch_registry": {"a": [1]}}'):
        path.write_text(wrong)
        with pytest.raises(DataError, match="damaged, or another kind of file"):
            IdGeneratorBase.from_disk(str(path))
