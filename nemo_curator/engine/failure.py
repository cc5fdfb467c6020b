"""An exception of user code, made into a value that reaches the driver whatever the exception is like."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from nemo_curator.engine.pickling import dumps_by_value
from nemo_curator.errors import StageFailed

__all__ = ["Failure", "one_line", "user_traceback"]

_OURS = tuple(str(Path(__file__).parents[1] / layer) for layer in ("engine", "backends"))
_MAX_LINES = 30


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed task's error.

    Attributes:
        task_id: The task that failed.
        stage: Name of the stage.
        declared_at: Where the stage was added to the pipeline.
        attempts: How many times it was tried.
        cause: Type and message in one line.
        frame: Where in user code it was raised.
        details: The traceback without the engine's own frames, at most 30 lines.
        pickled: The exception, or its type where the exception cannot be pickled; empty where neither can.
    """

    task_id: str
    stage: str
    declared_at: str
    attempts: int
    cause: str
    frame: str
    details: str
    pickled: bytes = b""

    @classmethod
    def of(cls, error: BaseException, *, task_id: str, stage: str, declared_at: str, attempts: int) -> Failure:
        """Return `error` as a value. Worker side, where it was caught."""
        frame, details = user_traceback(error)
        return cls(
            task_id=task_id,
            stage=stage,
            declared_at=declared_at,
            attempts=attempts,
            cause=one_line(error),
            frame=frame,
            details=details,
            pickled=_pickle(error),
        )

    def because(self, reason: str) -> Failure:
        """Return the same failure with `reason` before its cause."""
        return replace(self, cause=f"{reason}: {self.cause}")

    def original(self) -> BaseException | None:
        """Return the exception that user code raised, as far as it can be rebuilt."""
        found = _unpickle(self.pickled)
        return found if isinstance(found, BaseException) else None

    def to_error(self) -> StageFailed:
        """Return the error that ends a run: it says all there is to say, and is caught by the original's type too."""
        error = StageFailed(
            self.stage, self.declared_at, self.task_id, self.attempts, self.cause, self.frame, self.details
        )
        found = _unpickle(self.pickled)
        if isinstance(found, BaseException):
            return error.as_instance_of(type(found))
        if isinstance(found, type) and issubclass(found, BaseException):
            return error.as_instance_of(found)
        return error


def user_traceback(error: BaseException) -> tuple[str, str]:
    """Return the user's innermost frame, and the traceback without the engine's frames."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OURS)]
    inner = f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    lines = [*traceback.format_list(frames), *traceback.format_exception_only(error)]
    if cause := error.__cause__:
        lines += ["caused by: ", *traceback.format_exception_only(cause)]
    text = "".join(lines).rstrip().splitlines()
    if len(text) > _MAX_LINES:
        half = _MAX_LINES // 2
        text = [*text[:half], f"  ... {len(text) - 2 * half} lines left out ...", *text[-half:]]
    return inner, "\n".join(text)


def one_line(error: BaseException) -> str:
    """Return type and message of an error in one line, whatever its message is like."""
    try:
        said = str(error)
    except Exception:  # an exception whose __str__ fails is still an exception
        said = "(its message cannot be made)"
    return f"{type(error).__name__}: {' '.join(said.split())}".rstrip(": ")


def _pickle(error: BaseException) -> bytes:
    # A frame may hold anything, an open file included; the traceback travels as text.
    bare: TracebackType | None = error.__traceback__
    error.__traceback__ = None
    try:
        for candidate in (error, type(error)):
            data = _try_pickle(candidate)
            if data:
                return data
        return b""
    finally:
        error.__traceback__ = bare


def _try_pickle(thing: object) -> bytes:
    """Return the pickle if it can also be read back: an exception whose constructor wants more than `args` cannot."""
    try:
        data: bytes = dumps_by_value(thing)
        pickle.loads(data)
    except Exception:  # user-defined reduction may raise anything
        return b""
    return data


def _unpickle(data: bytes) -> object:
    if not data:
        return None
    try:
        return pickle.loads(data)
    except Exception:  # the worker could read it, the driver cannot: its type is not importable here
        return None
