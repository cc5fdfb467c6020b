from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import OptionError, OutputError, StageFailed
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import DocumentFilter, Filter, Score, ScoreFilter
from nemo_curator.stages.text.filters.heuristic import SubstringFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter, ParquetWriter
from nemo_curator.tasks import DocumentBatch
from nemo_curator.utils.output_manifest import OutputFolder, check_output

TEXTS = ["one two three", "one", "not wanted here", "two words", "one two"]


def batch(*texts: str, task_id: str = "0_a", as_table: bool = True) -> DocumentBatch:
    columns: dict[str, Any] = {"id": list(range(len(texts))), "text": list(texts)}
    task = DocumentBatch(dataset_name="d", data=pa.table(columns) if as_table else pd.DataFrame(columns))
    task.task_id = task_id
    return task


def rules() -> list[Any]:
    return [WordCountFilter(2, 3), SubstringFilter("not ", "prefix")]


def stage(folder: Any) -> ScoreFilter:
    return ScoreFilter(rules(), invert=[False, True], exclusions=folder)


def read(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.mark.parametrize("as_table", [True, False])
def test_dropped_rows_are_written_in_their_order_with_the_reason(tmp_path: Path, as_table: bool) -> None:
    filters = stage(str(tmp_path / "out"))
    kept = filters.process(batch(*TEXTS, as_table=as_table))
    assert kept.to_pandas()["id"].tolist() == [0, 3, 4]
    assert "drop_reason" not in kept.get_columns()
    assert read(tmp_path / "out") == [
        {"id": 1, "text": "one", "drop_reason": "word_count_low"},
        {"id": 2, "text": "not wanted here", "drop_reason": "not_SubstringFilter"},
    ]
    assert filters._consume_drops() == {"word_count_low": 1, "not_SubstringFilter": 1}
    (file,) = filters._consume_written()
    assert (file.rows, Path(file.path).parent) == (2, tmp_path / "out")


def test_another_attempt_replaces_the_file_by_the_same(tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        stage(str(tmp_path)).process(batch(*TEXTS))
        contents.append({path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 1


def test_no_file_where_nothing_is_dropped(tmp_path: Path) -> None:
    filters = stage(str(tmp_path / "out"))
    filters.process(batch("two words"))
    filters.process(batch())
    assert not (tmp_path / "out").exists()
    assert filters._consume_written() == []


def test_stages_and_tasks_share_a_folder(tmp_path: Path) -> None:
    filters = [ScoreFilter(rule, exclusions=str(tmp_path)) for rule in (WordCountFilter(2), WordCountFilter(0, 2))]
    filters[1].name = "another"
    for each in filters:
        for task_id in ("0_a", "0_b"):
            each.process(batch("one", "one two three", task_id=task_id))
    assert len(list(tmp_path.iterdir())) == 4
    assert sorted(row["drop_reason"] for row in read(tmp_path)) == ["word_count_high"] * 2 + ["word_count_low"] * 2


def test_a_writer_says_format_and_columns(tmp_path: Path) -> None:
    writer = ParquetWriter(str(tmp_path), fields=["drop_reason", "id"], write_kwargs={"compression": "zstd"})
    filters = Filter(lambda score: score > 1, "n", exclusions=writer)
    scored = Score(len, "n").process(batch("", "a", "ab"))
    filters.process(scored)
    (file,) = tmp_path.iterdir()
    assert pq.read_table(file).to_pylist() == [
        {"drop_reason": "filter_fn", "id": 0},
        {"drop_reason": "filter_fn", "id": 1},
    ]
    assert writer._consume_written() == []


@pytest.mark.parametrize("wrong", ["", 3, ["folder"]])
def test_other_places_are_refused(wrong: Any) -> None:
    with pytest.raises(OptionError, match="exclusions must be a folder"):
        stage(wrong)


def _source(folder: Path) -> Path:
    folder.mkdir()
    for part, text in enumerate(("one", "one two three four five")):
        rows = [{"id": f"{part}-{row}", "text": value} for row, value in enumerate([text, "some words"])]
        (folder / f"{part}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_a_run_counts_writes_and_commits(tmp_path: Path) -> None:
    source, kept, dropped = _source(tmp_path / "in"), tmp_path / "kept", tmp_path / "dropped"
    filters = ScoreFilter(WordCountFilter(2, 3), exclusions=str(dropped))
    pipeline = Pipeline("p", stages=[JsonlReader(str(source)), filters, JsonlWriter(str(kept))])
    for _ in range(2):
        pipeline.run(LocalExecutor(mode="inline"))
        assert {row["id"]: row["drop_reason"] for row in read(dropped)} == {
            "0-0": "word_count_low",
            "1-0": "word_count_high",
        }
        assert sorted(row["id"] for row in read(kept)) == ["0-1", "1-1"]
        assert len(list(dropped.glob("*.jsonl"))) == 2
        assert check_output(str(dropped)) == []
    report = pipeline.last_report
    assert report is not None
    assert report.stage("word_count").items_dropped == {"word_count_low": 1, "word_count_high": 1}


class FailsOnce(DocumentFilter):
    """Refuses a text until a file is there."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def score_document(self, text: str) -> bool:
        if len(text.split()) > 4 and not Path(self.mark).exists():
            message = "not yet"
            raise OSError(message)
        return True

    def keep_document(self, scores: bool) -> bool:
        return scores


def test_a_run_that_goes_on_has_all_that_was_excluded(tmp_path: Path) -> None:
    source, dropped, mark = _source(tmp_path / "in"), tmp_path / "dropped", tmp_path / "mark"
    filters = ScoreFilter([FailsOnce(str(mark)), WordCountFilter(2, 3)], name="rules", exclusions=str(dropped))
    pipeline = Pipeline("p", stages=[JsonlReader(str(source)), filters, JsonlWriter(str(tmp_path / "kept"))])
    with pytest.raises(StageFailed):
        pipeline.run(LocalExecutor(mode="inline"), checkpoint_path=str(tmp_path / "checkpoint"))
    assert [row["id"] for row in read(dropped)] == ["0-0"]
    mark.touch()
    pipeline.run(LocalExecutor(mode="inline"), checkpoint_path=str(tmp_path / "checkpoint"))
    assert sorted(row["id"] for row in read(dropped)) == ["0-0", "1-0"]
    (manifest,) = OutputFolder(str(dropped)).manifests().values()
    assert sorted(manifest) == sorted(path.name for path in dropped.glob("*.jsonl"))
    assert check_output(str(dropped)) == []


def test_a_folder_that_cannot_be_written_ends_the_run_before_it_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    filters = ScoreFilter(WordCountFilter(), exclusions=str(tmp_path / "file" / "dropped"))
    pipeline = Pipeline("p", stages=[JsonlReader(str(_source(tmp_path / "in"))), filters])
    with pytest.raises(OutputError, match="excluded documents"):
        pipeline.run(LocalExecutor(mode="inline"))


def test_the_mode_of_a_writer_is_minded(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.jsonl").touch()
    filters = ScoreFilter(WordCountFilter(), exclusions=JsonlWriter(str(tmp_path / "out"), mode="error"))
    pipeline = Pipeline("p", stages=[JsonlReader(str(_source(tmp_path / "in"))), filters])
    with pytest.raises(OutputError, match="already has 1 files"):
        pipeline.run(LocalExecutor(mode="inline"))
