"""Resume as users meet it: runs that are killed, files that change, two runs at once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import CheckpointError, OptionError, OutputError, PlanError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.tasks import FileGroupTask
from nemo_curator.testing import Journal, Number, numbers
from nemo_curator.testing.stages import Add, CollectAll, Count

FILES, ROWS = 40, 20


class Noting(ProcessingStage[Any, Any]):
    """Notes which task it has, before and after."""

    name = "noting"

    def __init__(self, journal: Journal, seconds: float = 0.0) -> None:
        self.journal, self.seconds = journal, seconds

    def process(self, task: Any) -> Any:
        self.journal.note("in", task.task_id)
        threading.Event().wait(self.seconds)
        return task


def _inputs(folder: Path) -> Path:
    folder.mkdir()
    for number in range(FILES):
        rows = [{"id": f"{number}.{row}", "text": f"text {row} of {number}"} for row in range(ROWS)]
        (folder / f"{number:03}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def _pipeline(inputs: Path, outputs: Path, journal: Journal, seconds: float = 0.0) -> Pipeline:
    stages: list[Any] = [
        JsonlReader(str(inputs), files_per_partition=1),
        Noting(journal, seconds),
        JsonlWriter(str(outputs), mode="ignore"),
    ]
    return Pipeline("resumed", stages=stages)


def _contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.startswith(".")}


DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_resume import _pipeline, Journal
from nemo_curator.backends.local import LocalExecutor
if __name__ == "__main__":
    inputs, outputs, journal, checkpoint = map(Path, sys.argv[2:])
    executor = LocalExecutor(mode="processes", num_workers=2, cpus=2, return_outputs=False)
    _pipeline(inputs, outputs, Journal(journal), 0.01).run(executor, checkpoint_path=str(checkpoint))
"""


class Killed:
    """A run in a process of its own that is killed and begun again until it comes to its end."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.chance = folder, chance
        self.inputs = _inputs(folder / "in")
        self.outputs, self.journal, self.checkpoint = folder / "out", Journal(folder / "journal"), folder / "checkpoint"
        script = folder / "driver.py"
        script.write_text(DRIVER)
        self.command = [sys.executable, str(script), str(Path(__file__).parent)]
        self.command += map(str, (self.inputs, self.outputs, self.journal.path, self.checkpoint))

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command, stderr=subprocess.DEVNULL)

    def kill(self, driver: subprocess.Popen[bytes], whom: str) -> None:
        """Kill once some more tasks are under way; at most so many must be redone."""
        import psutil

        goal = len(self.journal.lines()) + self.chance.randrange(1, 12)
        while driver.poll() is None and len(self.journal.lines()) < goal:
            time.sleep(0.001)
        workers = psutil.Process(driver.pid).children() if driver.poll() is None else []
        if whom in ("worker", "both") and workers:
            self.chance.choice(workers).send_signal(signal.SIGKILL)
        if whom in ("driver", "both"):
            driver.kill()
            driver.wait()
        for worker in workers if whom != "worker" else []:
            # They notice that their driver is gone; the next run must not find them writing.
            worker.wait(10)

    def finish(self) -> None:
        subprocess.run(self.command, check=True, timeout=60)


def _kill_until_done(folder: Path, seed: int, kills: int) -> None:
    run = Killed(folder, random.Random(seed))
    for _ in range(kills):
        driver = run.start()
        run.kill(driver, run.chance.choice(["driver", "worker", "both"]))
        driver.wait(60)
    run.finish()
    whole = folder / "whole"
    _pipeline(run.inputs, whole, Journal(folder / "other")).run(LocalExecutor(mode="inline"))
    assert _contents(run.outputs) == _contents(whole)
    # Two workers have a bundle each in hand and one waiting, and bundles begin small.
    redone = Counter(run.journal.lines())
    assert sum(count - 1 for count in redone.values()) <= kills * 16
    assert len(redone) == FILES


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_runs_end_with_the_same_output(seed: int, tmp_path: Path) -> None:
    _kill_until_done(tmp_path, seed, kills=3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 134))
def test_a_hundred_kills(seed: int, tmp_path: Path) -> None:
    _kill_until_done(tmp_path, seed, kills=3)


def _run(pipeline: Pipeline, checkpoint: Path, **options: Any) -> int:
    """Run and return how many sources were left out."""
    pipeline.run(LocalExecutor(mode="inline", **options), checkpoint_path=str(checkpoint))
    assert pipeline.last_report is not None
    return pipeline.last_report.sources_left_out


def test_files_that_are_new_or_have_changed(tmp_path: Path) -> None:
    inputs, journal = _inputs(tmp_path / "in"), Journal(tmp_path / "journal")
    pipeline = _pipeline(inputs, tmp_path / "out", journal)
    assert _run(pipeline, tmp_path / "c") == 0
    assert _run(pipeline, tmp_path / "c") == FILES
    (inputs / "new.jsonl").write_text('{"id": "n", "text": "new"}\n')
    changed = inputs / "003.jsonl"
    changed.write_text('{"id": "c", "text": "changed"}\n')
    os.utime(inputs / "004.jsonl", ns=(1, 1))
    before = len(journal.lines())
    assert _run(pipeline, tmp_path / "c") == FILES - 2
    assert len(journal.lines()) == before + 3
    assert any(b"changed" in content for content in _contents(tmp_path / "out").values())
    assert len(_contents(tmp_path / "out")) == FILES + 1


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
    inputs, outputs = _inputs(tmp_path / "in"), tmp_path / "out"
    stages: list[Any] = [JsonlReader(str(inputs), files_per_partition=1), JsonlWriter(str(outputs), mode="error")]
    pipeline = Pipeline("p", stages=stages)
    assert _run(pipeline, tmp_path / "c") == 0
    (inputs / "new.jsonl").write_text('{"text": "new"}\n')
    assert _run(pipeline, tmp_path / "c") == FILES
    assert len(_contents(outputs)) == FILES + 1
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


def test_a_missing_file_is_another_state(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    task = FileGroupTask("d", [str(file)])
    missing = task.content_state()
    file.write_text("{}\n")
    assert task.content_state() != missing
