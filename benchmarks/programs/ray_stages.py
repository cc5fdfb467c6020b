"""Stages over short texts that either distribution of ``nemo_curator`` runs; importable by its workers.

Nothing is assumed that only one of them has: sources return lists and say so in their annotations, from which
both know that they fan out.
"""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.programs import ray_engines as ray_engines  # looks whose package this is, in workers too
from benchmarks.programs.work import WORK, small_texts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks import EmptyTask, Task

__all__ = ["Model", "Texts", "Work"]


@dataclass
class TextTask(Task[str]):
    """A task that is one text."""

    @property
    def num_items(self) -> int:
        """Always 1."""
        return 1

    def validate(self) -> bool:
        """Any text is fine."""
        return True


class Texts(ProcessingStage[EmptyTask, TextTask]):
    """The source."""

    name = "texts"

    def __init__(self, count: int) -> None:
        self.count = count

    def inputs(self) -> tuple[list[str], list[str]]:
        """Needs nothing."""
        return [], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Makes no columns."""
        return [], []

    def process(self, task: EmptyTask) -> list[TextTask]:
        """Return all texts."""
        return [TextTask(dataset_name="texts", data=text) for text in small_texts(self.count)]


class Work(ProcessingStage[TextTask, TextTask]):
    """Calls a function of `work` on each text."""

    def __init__(self, work: str, name: str) -> None:
        self.work = work
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Needs nothing."""
        return [], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Makes no columns."""
        return [], []

    def process(self, task: TextTask) -> TextTask:
        """Change the text."""
        task.data = WORK[self.work](task.data)
        return task


class Model(ProcessingStage[TextTask, TextTask]):
    """Stands for a model on a device: slow to load, then waiting for the device at every call, with little use for a CPU.

    Every call is noted in a journal of its worker, a file in `folder`: the seconds of its start and its end on a line.
    """

    name = "model"

    def __init__(self, folder: str, setup_s: float, call_s: float, cpus: float) -> None:
        self.folder = folder
        self.setup_s = setup_s
        self.call_s = call_s
        self.resources = Resources(cpus=cpus)
        # An environment of its own keeps it in workers of its own, as a GPU would, which this machine need not have.
        self.runtime_env = {"env_vars": {"OMP_NUM_THREADS": "1"}}
        self._journal = -1

    def inputs(self) -> tuple[list[str], list[str]]:
        """Needs nothing."""
        return [], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Makes no columns."""
        return [], []

    def setup(self, worker_metadata: Any = None) -> None:
        """Load the model: once a worker."""
        path = Path(self.folder) / f"{os.getpid()}-{uuid.uuid4().hex}"
        self._journal = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        time.sleep(self.setup_s)

    def process(self, task: TextTask) -> TextTask:
        """Wait for the device."""
        start = time.perf_counter()
        time.sleep(self.call_s)
        end = time.perf_counter()
        # At once: most engines end workers without a word.
        os.write(self._journal, f"{start!r} {end!r}\n".encode())
        return task
