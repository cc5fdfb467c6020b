"""Runs in processes of their own that are killed and begun again: what comes out must be what an undisturbed run makes."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from nemo_curator.backends.registry import make_executor
from nemo_curator.engine.checkpoint import METADATA_DIRNAME
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.testing import Journal
from nemo_curator.utils.output_manifest import OutputFolder, check_output

__all__ = ["FILES", "Noting", "contents", "kill_until_done", "make_inputs", "make_pipeline"]

FILES, ROWS = 40, 20


class Noting(ProcessingStage[Any, Any]):
    """Notes which task it has."""

    name = "noting"

    def __init__(self, journal: Journal, seconds: float = 0.0) -> None:
        self.journal, self.seconds = journal, seconds

    def process(self, task: Any) -> Any:
        self.journal.note("in", task.task_id)
        threading.Event().wait(self.seconds)
        return task


def make_inputs(folder: Path) -> Path:
    folder.mkdir()
    for number in range(FILES):
        rows = [{"id": f"{number}.{row}", "text": f"text {row} of {number}"} for row in range(ROWS)]
        (folder / f"{number:03}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def make_pipeline(inputs: Path, outputs: Path, journal: Journal, seconds: float = 0.0) -> Pipeline:
    stages: list[Any] = [
        JsonlReader(str(inputs), files_per_partition=1),
        Noting(journal, seconds),
        JsonlWriter(str(outputs), mode="overwrite"),
    ]
    return Pipeline("resumed", stages=stages)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.startswith(".")}


class _Runs:
    """One run after the other, each in a process of its own."""

    def __init__(self, folder: Path, chance: random.Random, backend: str, **options: Any) -> None:
        self.folder, self.chance = folder, chance
        self.inputs = make_inputs(folder / "in")
        self.outputs, self.journal, self.checkpoint = folder / "out", Journal(folder / "journal"), folder / "checkpoint"
        self.command = [sys.executable, __file__, backend, json.dumps(options)]
        self.command += map(str, (self.inputs, self.outputs, self.journal.path, self.checkpoint))

    def noted(self) -> int:
        return len(self.journal.lines())

    def finished(self) -> int:
        """Return how many sources the checkpoint has, whole lines only."""
        files = (self.checkpoint / METADATA_DIRNAME).glob("finished-*")
        return sum(line.endswith(b'"') for file in files for line in file.read_bytes().split(b"\n")[1:-1])

    def run(self, whom: str) -> None:
        """Run until some more tasks are under way, then kill the driver, a worker, or both; a driver that lives may go on."""
        known = _workers()
        with subprocess.Popen(self.command, stderr=subprocess.DEVNULL) as driver:
            goal = self.noted() + self.chance.randrange(1, 12)
            while driver.poll() is None and self.noted() < goal:
                time.sleep(0.001)  # until something has happened in another process; nothing tells
            workers = [worker for worker in _workers() if worker not in known]
            if whom in ("worker", "both") and workers:
                _kill(self.chance.choice(workers))
            if whom in ("driver", "both"):
                driver.kill()
            assert driver.wait(120) in (0, -signal.SIGKILL)
        # They notice that their driver is gone; what they still write must not be taken for the next run's.
        psutil.wait_procs(workers, timeout=60)

    def to_the_end(self) -> None:
        subprocess.run(self.command, check=True, timeout=120)


def _workers() -> list[psutil.Process]:
    """Return all worker processes of runs from this folder, wherever they are: Ray starts them, not the driver."""
    here = str(Path(__file__).parent)
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if any("nemo_curator.backends.workers.worker" in word and here in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:  # it is gone
            continue
    return found


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def kill_until_done(folder: Path, seed: int, kills: int, backend: str, **options: Any) -> None:
    """Kill so many runs at random moments, let the last one come to its end, and see that everything is there once."""
    runs = _Runs(folder, random.Random(seed), backend, **options)
    for _ in range(kills):
        finished, noted = runs.finished(), runs.noted()
        whom = runs.chance.choice(["driver", "worker", "both"])
        runs.run(whom)
        # What was finished is not done again; what a worker had in hand when it was killed is, in the same run. A worker that was being
        # started when its driver was killed may have noted something too.
        assert runs.noted() - noted <= FILES - finished + (2 if whom == "driver" else 16), (seed, whom)
    runs.to_the_end()
    whole = folder / "whole"
    make_pipeline(runs.inputs, whole, Journal(folder / "other")).run(make_executor("local", mode="inline"))
    assert contents(runs.outputs) == contents(whole), seed
    assert OutputFolder(str(runs.outputs)).manifests() == OutputFolder(str(whole)).manifests()
    assert check_output(str(runs.outputs)) == []
    done = Counter(runs.journal.lines())
    assert len(done) == FILES


if __name__ == "__main__":
    _, chosen, given, *paths = sys.argv
    source, target, notes, kept = map(Path, paths)
    make_pipeline(source, target, Journal(notes), 0.01).run(
        make_executor(chosen, return_outputs=False, **json.loads(given)), checkpoint_path=str(kept)
    )
