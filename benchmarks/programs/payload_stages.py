"""A source of payloads and a stage that takes much longer to use one up; importable by worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.programs.work import payloads, swallow
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import EmptyTask, Task

__all__ = ["Payloads", "Swallow"]


@dataclass(repr=False)
class Payload(Task[bytes]):
    """Bytes."""

    @property
    def num_items(self) -> int:
        """Always 1."""
        return 1

    def validate(self) -> bool:
        """Any bytes are fine."""
        return True


class Payloads(ProcessingStage[EmptyTask, Payload]):
    """The source."""

    name = "payloads"

    def __init__(self, count: int) -> None:
        self.count = count

    def process(self, task: EmptyTask) -> Iterator[Payload]:
        """Yield payloads as fast as they are taken."""
        for payload in payloads(self.count):
            yield Payload("payloads", payload)


class Swallow(ProcessingStage[Payload, Payload]):
    """The slow consumer."""

    name = "swallow"

    def process(self, task: Payload) -> Payload:
        """Replace the payload by a byte."""
        task.data = bytes([swallow(task.data)])
        return task
