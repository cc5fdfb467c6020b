"""Resume as users meet it: runs that are killed, files that change, two runs at once."""

from __future__ import annotations

import os
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
