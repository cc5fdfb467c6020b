"""What can go wrong, as a tree.

CuratorError
├── PlanError (ValueError)                  the pipeline cannot run as it is written; found before any worker starts
│   ├── OptionError                         an option that nobody reads, or of the wrong kind
│   ├── ChainError                          a stage wants a task type or a column that nothing before it produces
│   ├── CapacityError                       one stage alone wants more than there is
│   └── UnpicklableError                    a stage or task cannot travel to a worker
├── InputError (FileNotFoundError)          the input is not there, or there is nothing in it
├── OutputError                             the output cannot be written
├── DataError (ValueError)                  a file or task cannot be read as what it claims to be
├── StageContractError (TypeError)          a stage returned something that is not a task; never tried again
├── TransientError                          raise it (or a subclass) in a stage to ask for another attempt
│   └── IndexUnavailable (RuntimeError)     the list of what there is to download cannot be fetched or read
├── ClusterError (ConnectionError)          there is no cluster to run on, or none that this process can join
├── StageFailed                             a stage gave up on a task and the run stops
├── SetupFailed                             a stage could not be set up
├── WorkerLost                              a worker process died
│   ├── EngineLost                          a part of the cluster is gone, with what was under way there
│   └── OutOfMemory (MemoryError)           a task needs more memory than its worker may use
├── TaskTimeout (TimeoutError)              a task took longer than its stage's timeout_s
├── RunStalled                              nothing has moved for too long, and the run shall end for it
├── IdGeneratorError (RuntimeError)         the actor that gives out ids is not there, or is there where it must not be
├── CheckpointError                         what is finished cannot be noted or read, or another run has the checkpoint
├── ConservationError                       tasks were lost or doubled: a fault of the engine, never passed over
└── MissingExtra (ImportError)              an optional dependency is not installed

Every message is a sentence for a person: which stage, which task or file, what was expected, what to do next. Every error
survives pickling: its ``args`` are the arguments of its constructor.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "CapacityError",
    "ChainError",
    "CheckpointError",
    "ClusterError",
    "ConservationError",
    "CuratorError",
    "DataError",
    "EngineLost",
    "ExperimentalWarning",
    "IdGeneratorError",
    "IndexUnavailable",
    "InputError",
    "MissingExtra",
    "OptionError",
    "OutOfMemory",
    "OutputError",
    "PlanError",
    "RunStalled",
    "SetupFailed",
    "StageContractError",
    "StageFailed",
    "TaskTimeout",
    "TransientError",
    "UnpicklableError",
    "WorkerLost",
    "did_you_mean",
    "require",
]


class CuratorError(Exception):
    """Base of every error that this package raises on purpose."""


class PlanError(CuratorError, ValueError):
    """The pipeline cannot run as it is written; found before any worker starts."""


class OptionError(PlanError):
    """An option that nobody reads, or of the wrong kind."""


class ChainError(PlanError):
    """A stage wants a task type or a column that nothing before it produces."""


class CapacityError(PlanError):
    """One stage alone wants more than the machine or cluster has."""


class UnpicklableError(PlanError):
    """A stage or a task cannot travel to a worker."""


class InputError(CuratorError, FileNotFoundError):
    """The input is not there, or there is nothing of the wanted kind in it."""


class OutputError(CuratorError, OSError):
    """The output cannot be written."""


class DataError(CuratorError, ValueError):
    """A file or a task cannot be read as what it claims to be."""


class StageContractError(CuratorError, TypeError):
    """A stage broke the contract of `ProcessingStage`; trying again would not help."""


class TransientError(CuratorError):
    """Raise this, or a subclass, in a stage to say that another attempt may succeed."""


class IndexUnavailable(TransientError, RuntimeError):
    """The list of what there is to download cannot be fetched, or cannot be read as what it should be."""


class IdGeneratorError(CuratorError, RuntimeError):
    """The actor that gives ids out to documents is not there, or one is there already."""


class ClusterError(CuratorError, ConnectionError):
    """There is no cluster at the given address, or this process cannot join it; found before any worker starts."""


class WorkerLost(CuratorError):
    """A worker process died while it held tasks."""


class EngineLost(WorkerLost):
    """A part of the cluster is gone, or the engine that moved tasks has failed; what was under way there is lost."""


class OutOfMemory(WorkerLost, MemoryError):
    """A task needs more memory than its worker may use."""


class TaskTimeout(CuratorError, TimeoutError):
    """A task took longer than its stage allows."""


class RunStalled(CuratorError):
    """Nothing has moved for too long; the message says what waits for what."""


class CheckpointError(CuratorError):
    """What is finished cannot be noted or read, or another run has the checkpoint."""


class ConservationError(CuratorError):
    """Tasks were lost or doubled between two stages: a fault of the engine, never passed over."""


class SetupFailed(CuratorError):
    """A stage could not be set up, so no task can pass it.

    Args:
        stage: Name of the stage.
        where: File and line where it was added to the pipeline.
        step: `setup`, `setup_on_node` or `unpickling`.
        cause: The original error in one line.
        details: The traceback, user frames last.
    """

    def __init__(self, stage: str, where: str, step: str, cause: str, details: str = "") -> None:
        super().__init__(stage, where, step, cause, details)
        self.stage, self.where, self.step, self.cause, self.details = stage, where, step, cause, details

    def __str__(self) -> str:
        head = f"stage {self.stage!r} (added at {self.where}) failed in {self.step}: {self.cause}"
        return f"{head}\n{self.details}".rstrip()


class StageFailed(CuratorError):
    """A stage gave up on a task, and the policy says that the run ends.

    What the pipeline raises is also an instance of the original error's type, so that ``except ValueError`` around a run
    catches the ``ValueError`` of a stage.

    Args:
        stage: Name of the stage.
        where: File and line where it was added to the pipeline.
        task_id: The task that it was working on.
        attempts: How many times it was tried.
        cause: The original error in one line.
        frame: Where in the user's code it was raised.
        details: The traceback, user frames last.
    """

    def __init__(
        self, stage: str, where: str, task_id: str, attempts: int, cause: str, frame: str = "", details: str = ""
    ) -> None:
        super().__init__(stage, where, task_id, attempts, cause, frame, details)
        self.stage, self.where, self.task_id, self.attempts = stage, where, task_id, attempts
        self.cause, self.frame, self.details = cause, frame, details

    def __str__(self) -> str:
        tries = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        at = f", raised at {self.frame}" if self.frame else ""
        head = f"stage {self.stage!r} (added at {self.where}) failed on task {self.task_id} after {tries}: {self.cause}{at}"
        return f"{head}\n{self.details}".rstrip()

    def as_instance_of(self, original: type[BaseException]) -> StageFailed:
        """Return the same failure, catchable as `original` too, where Python's object layouts allow it."""
        if issubclass(StageFailed, original) or not issubclass(original, Exception):
            return self
        try:
            kind = type(f"StageFailed[{original.__name__}]", (StageFailed, original), {"__module__": __name__})
            kind.__reduce__ = lambda self: (StageFailed, self.args)
            error: StageFailed = kind(*self.args)
        except TypeError:
            return self
        return error


class ExperimentalWarning(FutureWarning):
    """What was imported may change; the message names the stable path."""


class MissingExtra(CuratorError, ImportError):
    """An optional dependency is not installed; the message holds the line that installs it."""


def require(module: str, *, extra: str, purpose: str) -> None:
    """Raise `MissingExtra` unless `module` can be imported.

    Args:
        module: Top-level name of the module.
        extra: The extra of this distribution that brings it.
        purpose: What wants it, as the start of a sentence: ``"the Parquet writer"``.
    """
    from importlib.util import find_spec

    if find_spec(module) is None:
        message = (
            f"{purpose} needs the package {module!r}, which is not installed: pip install 'curator-backends[{extra}]'"
        )
        raise MissingExtra(message, name=module)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` with the known name nearest to `word`, or nothing when none is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
