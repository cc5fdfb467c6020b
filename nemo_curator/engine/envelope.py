"""A task in flight, and what a stage has to tell beside: who left early, which files were written, which sources it left out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from nemo_curator.engine.claims import Claims
from nemo_curator.engine.failure import Failure
from nemo_curator.tasks import Task

if TYPE_CHECKING:
    from nemo_curator.utils.output_manifest import WrittenFile

__all__ = ["Envelope", "Outcome", "Receipt"]


class Outcome(StrEnum):
    """What a receipt is about: a task that will not reach the end of the pipeline, a file, or sources that go no further."""

    DROPPED = "dropped"
    FAILED = "failed"
    WRITTEN = "written"
    LEFT_OUT = "left out"


@dataclass(slots=True)
class Envelope:
    """A task in flight.

    Attributes:
        id: The task's id. The engine's own: user code may do to `task.task_id` what it likes.
        task: The task.
        claims: Its shares of sources; empty before the source stage.
        nbytes: Approximate bytes that it keeps alive, once somebody has asked; 0 before.
        slots: Of what the next stage makes of it only the children in these slots are wanted, from and up to (`None`: all from
            there on). Set where a part is done again that failed.
    """

    id: str
    task: Task[Any]
    claims: Claims = ()
    nbytes: int = 0
    slots: tuple[int, int | None] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        if self.slots is None:
            return (Envelope, (self.id, self.task, self.claims))
        return (Envelope, (self.id, self.task, self.claims, 0, self.slots))


@dataclass(slots=True)
class Receipt:
    """What a stage has to tell of a task, beside what it made of it. Travels to the driver in-band with the data.

    Attributes:
        id: The task's id; empty for sources that were left out, which have one receipt for many.
        claims: The shares that it gives back. For a file, whose they are says which sources are in it.
        outcome: What it is about.
        stage: Name of the stage.
        reason: Why, in a word or two; reports count by it.
        failure: What was raised, for a failed task.
        written: The file that was written.
        marks: Marks of sources that were left out as they are finished, one after the other.
    """

    id: str
    claims: Claims
    outcome: Outcome
    stage: str
    reason: str
    failure: Failure | None = None
    written: WrittenFile | None = None
    marks: bytes = b""

    def __reduce__(self) -> tuple[Any, ...]:
        own = (self.id, self.claims, self.outcome, self.stage, self.reason, self.failure, self.written, self.marks)
        return (Receipt, own)
