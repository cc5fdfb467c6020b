"""Resume as users meet it: runs that are killed, files that change, two runs at once."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from killed_runs import FILES, contents, kill_until_done, make_inputs, make_pipeline

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.slurm_array import find_slurm_array_retries
from nemo_curator.errors import CheckpointError, OptionError, OutputError, PlanError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.tasks import FileGroupTask
from nemo_curator.testing import Journal, Number, numbers
from nemo_curator.testing.stages import Add, CollectAll, Count


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_killed_runs_end_with_the_same_output(seed: int, tmp_path: Path) -> None:
    kill_until_done(tmp_path, seed, 3, "local", mode="processes", num_workers=2, cpus=2)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 134))
def test_a_hundred_kills(seed: int, tmp_path: Path) -> None:
    kill_until_done(tmp_path, seed, 3, "local", mode="processes", num_workers=2, cpus=2)


def _run(pipeline: Pipeline, checkpoint: Path, **options: Any) -> int:
    """Run and return how many sources were left out."""
    pipeline.run(LocalExecutor(mode="inline", **options), checkpoint_path=str(checkpoint))
    assert pipeline.last_report is not None
    return pipeline.last_report.sources_left_out


def test_files_that_are_new_or_have_changed(tmp_path: Path) -> None:
    inputs, journal = make_inputs(tmp_path / "in"), Journal(tmp_path / "journal")
    pipeline = make_pipeline(inputs, tmp_path / "out", journal)
    assert _run(pipeline, tmp_path / "c") == 0
    assert _run(pipeline, tmp_path / "c") == FILES
    (inputs / "new.jsonl").write_text('{"id": "n", "text": "new"}\n')
    changed = inputs / "003.jsonl"
    changed.write_text('{"id": "c", "text": "changed"}\n')
    os.utime(inputs / "004.jsonl", ns=(1, 1))
    before = len(journal.lines())
    assert _run(pipeline, tmp_path / "c") == FILES - 2
    assert len(journal.lines()) == before + 3
    assert any(b"changed" in content for content in contents(tmp_path / "out").values())
    assert len(contents(tmp_path / "out")) == FILES + 1


def test_explain_says_what_is_finished_and_what_has_changed(tmp_path: Path) -> None:
    path = str(tmp_path / "c")
    one = Pipeline("p", stages=[Count(4), Add(1)])
    assert "0 sources are finished" in one.explain(checkpoint_path=path)
    assert not (tmp_path / "c").exists()
    one.run(LocalExecutor(mode="inline"), checkpoint_path=path)
    assert "checkpoint" not in one.explain()
    assert "4 sources are finished and will be left out" in one.explain(checkpoint_path=path)
    other = Pipeline("p", stages=[Count(4), Add(2)]).explain(checkpoint_path=path)
    assert (
        "4 more were finished by another version of the pipeline and will be run again: stage 'add' changed: amount"
        in other
    )


def test_a_run_that_fails_keeps_what_it_had_finished(tmp_path: Path) -> None:
    class Fails(Add):
        broken = True

        def process(self, task: Number) -> Number:
            if task.data == 5 and not (tmp_path / "mended").exists():
                message = "broken"
                raise ValueError(message)
            return task

    pipeline = Pipeline("p", stages=[Count(8), Fails(0)])
    with pytest.raises(Exception, match="broken"):
        pipeline.run(LocalExecutor(mode="inline"), checkpoint_path=str(tmp_path / "c"))
    (tmp_path / "mended").touch()
    outputs = pipeline.run(LocalExecutor(mode="inline"), checkpoint_path=str(tmp_path / "c"))
    assert [task.data for task in outputs or []] == [5]


def test_a_writer_that_wants_an_empty_folder_goes_on(tmp_path: Path) -> None:
    inputs, outputs = make_inputs(tmp_path / "in"), tmp_path / "out"
    stages: list[Any] = [JsonlReader(str(inputs), files_per_partition=1), JsonlWriter(str(outputs), mode="error")]
    pipeline = Pipeline("p", stages=stages)
    assert _run(pipeline, tmp_path / "c") == 0
    (inputs / "new.jsonl").write_text('{"text": "new"}\n')
    assert _run(pipeline, tmp_path / "c") == FILES
    assert len(contents(outputs)) == FILES + 1
    with pytest.raises(OutputError, match="already has 41 files"):
        _run(pipeline, tmp_path / "another")


def test_two_runs_at_once_do_not_share_a_checkpoint(tmp_path: Path) -> None:
    pipeline = Pipeline("p", stages=[Count(3), Add(1)])

    class Runs(ProcessingStage[Number, Number]):
        name = "runs"

        def process(self, task: Number) -> Number:
            with pytest.raises(CheckpointError, match="in use by another run"):
                pipeline.run(LocalExecutor(mode="inline"), checkpoint_path=str(tmp_path))
            return task

    outer = Pipeline("outer", stages=[Add(0), Runs()])
    outputs = outer.run(LocalExecutor(mode="inline"), initial_tasks=numbers(1), checkpoint_path=str(tmp_path))
    assert len(outputs or []) == 1
    assert len(pipeline.run(LocalExecutor(mode="inline"), checkpoint_path=str(tmp_path)) or []) == 3


def test_what_cannot_be_resumed_is_refused_before_anything_runs(tmp_path: Path) -> None:
    class NotResumable(CollectAll):
        is_resumable = False

    pipeline = Pipeline("p", stages=[Count(3), NotResumable()])
    with pytest.raises(PlanError, match="cannot be resumed: 'collect_all'"):
        pipeline.run(LocalExecutor(mode="inline"), checkpoint_path=str(tmp_path / "c"))
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0,), "1/2", (0.0, 2), (True, 2), 1])
def test_a_shard_is_two_numbers(shard: Any) -> None:
    with pytest.raises(OptionError, match=r"shard must be two whole numbers \(k, n\)"):
        Pipeline("p", stages=[Count(3)]).run(LocalExecutor(mode="inline"), shard=shard)


def test_shards_without_a_checkpoint() -> None:
    pipeline = Pipeline("p", stages=[Count(20, content_ids=True), Add(1)])
    parts = [pipeline.run(LocalExecutor(mode="inline"), shard=(k, 3)) or [] for k in range(3)]
    assert sorted(task.data for part in parts for task in part) == list(range(1, 21))
    assert all(0 < len(part) < 20 for part in parts)


def test_a_slurm_array_is_its_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails(Add):
        def process(self, task: Number) -> Number:
            if task.data == 4 and (tmp_path / "flag").exists():
                message = "not yet"
                raise ValueError(message)
            return task

    pipeline = Pipeline("p", stages=[Count(9), Fails(0)])
    checkpoint = str(tmp_path / "c")

    def run(task: int) -> list[int]:
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(task))
        monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "3")
        monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "1")
        executor = LocalExecutor(mode="inline", on_error="quarantine")
        outputs = pipeline.run(executor, checkpoint_path=checkpoint)
        assert "NEMO_CURATOR_FAILED_TASKS_DIR" not in os.environ
        return [output.data for output in outputs or []]

    def missing() -> tuple[int, ...]:
        plan = find_slurm_array_retries(checkpoint)
        return () if plan is None else tuple(plan.shard_indices)

    (tmp_path / "flag").touch()
    done = [run(task) for task in (1, 2, 3)]
    assert sorted(value for part in done for value in part) == [0, 1, 2, 3, 5, 6, 7, 8]
    (shard,) = missing()
    (tmp_path / "flag").unlink()
    assert run(shard) == [4]
    assert missing() == ()


def test_a_missing_file_is_another_state(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    task = FileGroupTask("d", [str(file)])
    missing = task.content_state()
    file.write_text("{}\n")
    assert task.content_state() != missing


OPTIONS_NEEDED = "dir://a.jsonl"
"""A URL that means nothing without options: those of the folder below which it is."""


def _in_a_folder(folder: Path) -> dict[str, Any]:
    return {"path": str(folder), "target_protocol": "file"}


@pytest.mark.parametrize("where", ["kept aside", "metadata"])
def test_a_file_that_needs_storage_options_is_seen_to_change(where: str, tmp_path: Path) -> None:
    options = _in_a_folder(tmp_path)
    (tmp_path / "a.jsonl").write_text("{}\n")
    task = FileGroupTask("d", [OPTIONS_NEEDED])
    if where == "metadata":
        task._metadata["storage_options"] = options
    else:
        task.reached_with(options)
    before = task.content_state()
    assert task.content_state() == before
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    assert task.content_state() != before


def test_storage_options_kept_aside_do_not_travel(tmp_path: Path) -> None:
    task = FileGroupTask("d", [OPTIONS_NEEDED]).reached_with({**_in_a_folder(tmp_path), "secret": "hunter2"})
    content = pickle.dumps(task)
    assert b"hunter2" not in content
    assert pickle.loads(content).data == [OPTIONS_NEEDED]


@pytest.mark.parametrize("numbered", [False, True])
def test_what_a_reader_reads_with_storage_options_is_done_again_when_it_changes(numbered: bool, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        (tmp_path / "in" / f"{name}.jsonl").write_text(f'{{"text": "{name}"}}\n')
    reader = JsonlReader(
        ["dir://a.jsonl", "dir://b.jsonl"],
        read_kwargs={"storage_options": _in_a_folder(tmp_path / "in")},
        _generate_ids=numbered,
    )
    checkpoint = str(tmp_path / "c")

    def run() -> list[str]:
        outputs = Pipeline("p", stages=[reader]).run(LocalExecutor(mode="inline"), checkpoint_path=checkpoint)
        return sorted(text for output in outputs or [] for text in output.to_pandas()["text"])

    assert run() == ["a", "b"]
    assert run() == []
    (tmp_path / "in" / "b.jsonl").write_text('{"text": "changed"}\n')
    assert run() == ["changed"]
