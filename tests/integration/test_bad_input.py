"""Bad input gets a sentence that names the stage, the file or column, and the next step, and none of our own frames."""

from __future__ import annotations

import gzip
import json
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import (
    ChainError,
    CuratorError,
    DataError,
    InputError,
    MissingExtra,
    OutputError,
    PlanError,
    UnpicklableError,
)
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.filters.heuristic import WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReader, ParquetReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.tasks import DocumentBatch, EmptyTask
from nemo_curator.testing import documents
from nemo_curator.testing.stages import Add, Count

ROWS = [{"id": n, "text": f"some words of document {n}"} for n in range(20)]


def _jsonl(path: Path, rows: list[dict[str, Any]] | None = None) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows or ROWS))
    return path


class Nothing(CompositeStage[DocumentBatch, DocumentBatch]):
    """A composite of no stages."""

    name = "nothing"

    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        return []


class NeedsColumn(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Wants a column that is not there."""

    name = "needs_column"

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], ["txet"]

    def process(self, task: DocumentBatch) -> DocumentBatch:
        return task


def missing_path(folder: Path) -> Pipeline:
    (folder / "data").mkdir()
    return Pipeline("p", stages=[JsonlReader(str(folder / "dato"))])


def empty_folder(folder: Path) -> Pipeline:
    return Pipeline("p", stages=[JsonlReader(str(folder))])


def wrong_folder(folder: Path) -> Pipeline:
    pq.write_table(pa.table({"text": ["a"]}), folder / "a.parquet")
    return Pipeline("p", stages=[JsonlReader(str(folder))])


def wrong_format(folder: Path) -> Pipeline:
    pq.write_table(pa.table({"text": ["a"]}), folder / "a.jsonl")
    return Pipeline("p", stages=[JsonlReader(str(folder))])


def wrong_format_the_other_way(folder: Path) -> Pipeline:
    _jsonl(folder / "a.parquet")
    return Pipeline("p", stages=[ParquetReader(str(folder))])


def unreadable(folder: Path) -> Pipeline:
    (folder / "a.jsonl").symlink_to(folder / "gone.jsonl")
    _jsonl(folder / "b.jsonl")
    return Pipeline("p", stages=[JsonlReader([str(folder / "b.jsonl"), str(folder / "a.jsonl")])])


def truncated_archive(folder: Path) -> Pipeline:
    whole = gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS * 50).encode())
    (folder / "a.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    return Pipeline("p", stages=[JsonlReader(str(folder))])


def truncated_line(folder: Path) -> Pipeline:
    path = _jsonl(folder / "a.jsonl")
    path.write_text(path.read_text()[:-20])
    return Pipeline("p", stages=[JsonlReader(str(folder))])


def truncated_parquet(folder: Path) -> Pipeline:
    pq.write_table(pa.table({"text": ["a"] * 1000}), folder / "a.parquet")
    (folder / "a.parquet").write_bytes((folder / "a.parquet").read_bytes()[:200])
    return Pipeline("p", stages=[ParquetReader(str(folder))])


def wrong_encoding(folder: Path) -> Pipeline:
    (folder / "a.jsonl").write_bytes('{"text": "café"}\n'.encode("latin-1"))
    return Pipeline("p", stages=[JsonlReader(str(folder))])


def missing_column(folder: Path) -> Pipeline:
    _jsonl(folder / "a.jsonl")
    return Pipeline("p", stages=[JsonlReader(str(folder), fields=["id"]), ScoreFilter(WordCountFilter())])


def missing_column_found_late(folder: Path) -> Pipeline:
    _jsonl(folder / "a.jsonl")
    return Pipeline("p", stages=[JsonlReader(str(folder)), NeedsColumn()])


def missing_field(folder: Path) -> Pipeline:
    _jsonl(folder / "a.jsonl")
    return Pipeline("p", stages=[JsonlReader(str(folder), fields=["txt"])])


def no_rows(folder: Path) -> Pipeline:
    (folder / "a.jsonl").write_text("")
    return Pipeline("p", stages=[JsonlReader(str(folder))])


def two_sources(folder: Path) -> Pipeline:
    first, second = Count(3), Count(3).with_(name="count_again")
    first.is_source_stage = second.is_source_stage = True
    return Pipeline("p", stages=[first, second])


def unpicklable_stage(folder: Path) -> Pipeline:
    stage = Add(1)
    stage.lock = threading.Lock()  # type: ignore[attr-defined]
    return Pipeline("p", stages=[Count(2), stage])


def a_stage_that_is_not_one(folder: Path) -> Pipeline:
    return Pipeline("p", stages=[Count(2), "add"])  # type: ignore[list-item]


def a_stage_class(folder: Path) -> Pipeline:
    return Pipeline("p", stages=[Count(2), Add])  # type: ignore[list-item]


def a_composite_of_nothing(folder: Path) -> Pipeline:
    return Pipeline("p", stages=[Nothing()])


def no_stages(folder: Path) -> Pipeline:
    return Pipeline("p")


def stages_that_do_not_fit(folder: Path) -> Pipeline:
    return Pipeline("p", stages=[Count(2), ScoreFilter(WordCountFilter())])


def a_first_stage_that_needs_tasks(folder: Path) -> Pipeline:
    return Pipeline("p", stages=[Add(1)])


def an_output_that_is_a_file(folder: Path) -> Pipeline:
    _jsonl(folder / "a.jsonl")
    (folder / "out").write_text("I am a file")
    return Pipeline("p", stages=[JsonlReader(str(folder / "a.jsonl")), JsonlWriter(str(folder / "out"))])


def an_output_that_is_taken(folder: Path) -> Pipeline:
    _jsonl(folder / "a.jsonl")
    (folder / "out").mkdir()
    _jsonl(folder / "out" / "old.jsonl")
    return Pipeline("p", stages=[JsonlReader(str(folder / "a.jsonl")), JsonlWriter(str(folder / "out"), mode="error")])


CASES: list[tuple[Callable[[Path], Pipeline], type[Exception], list[str]]] = [
    (missing_path, InputError, ["'file_partitioning'", "dato does not exist", "Did you mean 'data'"]),
    (
        empty_folder,
        InputError,
        ["'file_partitioning'", "no .jsonl or .json file in", "no file at all", "Check the path"],
    ),
    (wrong_folder, InputError, ["'file_partitioning'", "1 .parquet file", "use ParquetReader"]),
    (wrong_format, DataError, ["'jsonl_reader'", "a.jsonl", "Parquet", "ParquetReader"]),
    (wrong_format_the_other_way, DataError, ["'parquet_reader'", "a.parquet", "JsonlReader"]),
    (unreadable, InputError, ["a.jsonl", "does not exist"]),
    (truncated_archive, DataError, ["'jsonl_reader'", "a.jsonl.gz", "ends"]),
    (truncated_line, DataError, ["'jsonl_reader'", "a.jsonl", "line 20"]),
    (truncated_parquet, DataError, ["'parquet_reader'", "a.parquet"]),
    (wrong_encoding, DataError, ["'jsonl_reader'", "a.jsonl", "UTF-8"]),
    (missing_column, ChainError, ["'word_count'", "column 'text'", "which no stage before it produces", "id"]),
    (missing_column_found_late, DataError, ["'needs_column'", "no column 'txet'", "id, text"]),
    (missing_field, DataError, ["'jsonl_reader'", "a.jsonl", "'txt'", "id, text"]),
    (no_rows, DataError, ["'jsonl_reader'", "a.jsonl", "allow_empty=True"]),
    (two_sources, PlanError, ["2 source stages", "'count', 'count_again'", "keep is_source_stage=True on one"]),
    (unpicklable_stage, UnpicklableError, ["'add'", "attribute 'lock'", "setup()"]),
    (a_stage_that_is_not_one, PlanError, ["ProcessingStage instances", "'add', a str"]),
    (a_stage_class, PlanError, ["the class Add itself", "make an instance: Add(...)"]),
    (a_composite_of_nothing, PlanError, ["'nothing'", "decomposes to nothing", "at least one stage"]),
    (no_stages, PlanError, ["'p' has no stages", "add_stage"]),
    (stages_that_do_not_fit, ChainError, ["'word_count'", "takes DocumentBatch", "'count' gives Number"]),
    (a_first_stage_that_needs_tasks, ChainError, ["'add'", "takes Number", "pass initial_tasks"]),
    (an_output_that_is_a_file, OutputError, ["'jsonl_writer'", "out", "not a folder"]),
    (an_output_that_is_taken, OutputError, ["'jsonl_writer'", "out", "mode="]),
]


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("make", "kind", "words"), CASES, ids=[case[0].__name__ for case in CASES])
def test_bad_input_gets_a_sentence(
    make: Callable[[Path], Pipeline], kind: type[Exception], words: list[str], tmp_path: Path
) -> None:
    pipeline = make(tmp_path)
    with pytest.raises(kind) as caught:
        pipeline.run(LocalExecutor(num_workers=1))
    message = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert [word for word in words if word not in message] == [], message
    assert isinstance(caught.value, CuratorError)
    shown = "".join(traceback.format_exception(caught.value))
    assert "nemo_curator/engine" not in shown
    assert "nemo_curator/backends" not in shown


@pytest.mark.parametrize(
    "make", [missing_path, empty_folder, wrong_folder, missing_column, unpicklable_stage, two_sources]
)
def test_mistakes_are_found_before_any_worker_starts(
    make: Callable[[Path], Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess

    def refuse(*_: object, **__: object) -> None:
        message = "a worker was started"
        raise AssertionError(message)

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(CuratorError):
        make(tmp_path).run(LocalExecutor())


def test_add_stage_refuses_what_is_no_stage() -> None:
    with pytest.raises(TypeError, match="add_stage takes a ProcessingStage instance, got the class Add itself"):
        Pipeline("p").add_stage(Add)  # type: ignore[arg-type]


def test_bad_files_cost_no_good_ones(tmp_path: Path) -> None:
    for number in range(4):
        _jsonl(tmp_path / f"good{number}.jsonl")
    (tmp_path / "bad.jsonl").write_text('{"text": "no end\n')
    pipeline = Pipeline("p", stages=[JsonlReader(str(tmp_path))])
    outputs = pipeline.run(LocalExecutor(on_error="quarantine")) or []
    assert sum(task.num_items for task in outputs) == 80
    assert pipeline.last_report is not None
    assert len(pipeline.last_report.failures) == 1
    assert "bad.jsonl" in pipeline.last_report.failures[0].cause


@pytest.mark.parametrize(("package", "stage"), [("pyarrow", "jsonl_reader"), ("pandas", "jsonl_writer")])
def test_a_package_that_is_not_installed_is_named_with_the_line_that_installs_it(
    package: str, stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find_spec(name))
    _jsonl(tmp_path / "a.jsonl")
    reading = JsonlReader(str(tmp_path))
    writing = [Documents(), JsonlWriter(str(tmp_path / "out"))]
    pipeline = Pipeline("p", stages=[reading] if stage == "jsonl_reader" else writing)
    with pytest.raises(
        MissingExtra, match=rf"'{stage}' needs the package '{package}'.*pip install 'curator-backends\[text\]'"
    ):
        pipeline.run(LocalExecutor())


class Documents(ProcessingStage[EmptyTask, DocumentBatch]):
    """Makes documents of nothing."""

    name = "documents"

    def process(self, task: EmptyTask) -> DocumentBatch:
        return documents(["a"])
