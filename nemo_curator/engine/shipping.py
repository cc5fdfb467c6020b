"""Segments on their way to workers: pickled once, by value where a class cannot be imported elsewhere."""

from __future__ import annotations

import pickle
from typing import Any

from nemo_curator.engine.failure import user_traceback
from nemo_curator.engine.pickling import dumps_by_value
from nemo_curator.engine.plan import PlannedStage, Segment
from nemo_curator.errors import SetupFailed, UnpicklableError

__all__ = ["ship", "unship"]


def ship(segment: Segment) -> bytes:
    """Return a segment as bytes.

    Raises:
        UnpicklableError: A stage cannot be pickled; the message names the stage and the attribute.
    """
    try:
        # A protocol that every supported Python reads; stages hold settings, not data.
        return dumps_by_value(segment)
    except Exception as error:
        for stage in segment.stages:
            _explain(stage)
        message = f"segment {segment.name!r} cannot be sent to a worker: {type(error).__name__}: {error}"
        raise UnpicklableError(message) from error


def unship(shipped: bytes) -> Segment:
    """Return the segment, with stage objects that are the caller's own.

    Raises:
        SetupFailed: The pickle cannot be read here: a module that its classes need is missing.
    """
    try:
        segment: Segment = pickle.loads(shipped)
    except Exception as error:
        _, details = user_traceback(error)
        cause = f"{type(error).__name__}: {error}; the worker must be able to import what the stage is made of"
        stage, where = "(unknown)", "<unknown>"
        raise SetupFailed(stage, where, "unpickling", cause, details) from error
    return segment


def _explain(planned: PlannedStage) -> None:
    """Raise an error that names what of this stage cannot be pickled, if anything."""
    error = _problem(planned.stage)
    if error is None:
        return
    culprits = [name for name, value in vars(planned.stage).items() if _problem(value) is not None]
    what = f"its attribute {culprits[0]!r} cannot be pickled" if culprits else "it cannot be pickled"
    message = (
        f"stage {planned.name!r} (added at {planned.declared_at}) cannot be sent to a worker: {what} "
        f"({type(error).__name__}: {error}); create what is not plain data in setup()"
    )
    raise UnpicklableError(message) from error


def _problem(value: Any) -> Exception | None:
    try:
        dumps_by_value(value)
    except Exception as error:  # whatever a user's class raises when it is pickled
        return error
    return None
