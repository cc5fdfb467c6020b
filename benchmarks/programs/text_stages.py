"""Stages over short texts, importable by worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.programs.work import WORK, small_texts
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import EmptyTask, FileGroupTask, Task

__all__ = ["PretendToWrite", "Texts", "Work"]


@dataclass(repr=False)
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
    """The source: makes texts as they are asked for."""

    name = "texts"

    def __init__(self, count: int) -> None:
        self.count = count

    def process(self, task: EmptyTask) -> Iterator[TextTask]:
        """Yield them."""
        for text in small_texts(self.count):
            yield TextTask("texts", text)


class Work(ProcessingStage[TextTask, TextTask]):
    """Calls a function of `work` on each text."""

    name = "work"

    def __init__(self, work: str) -> None:
        self.work = work

    def process(self, task: TextTask) -> TextTask:
        """Change the text."""
        task.data = WORK[self.work](task.data)
        return task


class PretendToWrite(ProcessingStage[TextTask, FileGroupTask]):
    """Returns what a writer returns, and writes nothing."""

    name = "pretend_to_write"

    def process(self, task: TextTask) -> FileGroupTask:
        """Return the path of a file that is not there."""
        return FileGroupTask(task.dataset_name, [f"/nowhere/{task.task_id}.jsonl"])
