"""What is known about a task that costs workers their lives, and how its like are run from then on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nemo_curator.errors import CuratorError, OutOfMemory, TaskTimeout, WorkerLost

__all__ = ["Careful", "Death", "Verdict"]


class Death(StrEnum):
    """Why a worker is no more."""

    CRASHED = "crashed"
    TIMED_OUT = "timed out"
    OUT_OF_MEMORY = "out of memory"

    @property
    def error(self) -> type[CuratorError]:
        """The error of a task that is the cause."""
        return {Death.CRASHED: WorkerLost, Death.TIMED_OUT: TaskTimeout, Death.OUT_OF_MEMORY: OutOfMemory}[self]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A task is guilty: it has failed, and its stage is not called with it again.

    Attributes:
        stage: Index of the stage.
        task: Id of the task, as a beacon shows it.
        made: Children that the stage may still make of it, one by one, before it comes to what it must not be asked for.
        death: What it did to its workers.
        how: Half a sentence about the last of them: ``"was killed by signal 11 (SIGSEGV)"``.
        attempts: How many there were.
        details: The stack of the worker, where it could be taken.
    """

    stage: int
    task: str
    made: int
    death: Death
    how: str
    attempts: int
    details: str = ""

    def error(self) -> CuratorError:
        """Return the error that the task has failed with."""
        error = self.death.error(f"its worker {self.how}")
        if self.details:
            error.add_note(self.details)
        return error


@dataclass(frozen=True, slots=True)
class Careful:
    """How a bundle is run that has cost a worker: few inputs at a time, each handed on by itself, every call noted by task.

    Attributes:
        size: Inputs at a time.
        verdicts: Tasks that have been found guilty.
    """

    size: int = 1
    verdicts: tuple[Verdict, ...] = ()
