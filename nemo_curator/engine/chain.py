"""Does every stage get what it asks for? Task types and data columns, through the whole chain, before anything runs."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union, cast, get_args, get_origin

from nemo_curator.engine.plan import PlannedStage
from nemo_curator.errors import ChainError, did_you_mean
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import Task

__all__ = ["check_chain", "stage_types"]

Kinds = tuple[type, ...]


@dataclass
class _Stream:
    """What is known about the tasks between two stages.

    Attributes:
        kinds: Task types that may come; empty when unknown.
        maker: Who makes them, for messages.
        columns: Columns that are known to be there.
        closed: There are no others.
    """

    kinds: Kinds
    maker: str
    columns: set[str] = field(default_factory=set[str])
    closed: bool = False


def check_chain(stages: Sequence[PlannedStage], first_task: object) -> None:
    """Raise `ChainError` for the first stage that is bound to fail on every task it gets.

    What cannot be known (a stage without type parameters, a reader that takes all columns there are) is not held against
    anybody: such tasks are checked when they come.
    """
    # Whatever is no task stands for tasks of which nothing is known.
    stream = _Stream(kinds=_kinds(type(first_task)), maker="the run starts from")
    for planned in stages:
        takes, gives = stage_types(planned.stage)
        _check_kinds(planned, takes, stream)
        _check_columns(planned, stream)
        stream = _after(planned, takes, gives, stream)


def stage_types(stage: ProcessingStage[Any, Any]) -> tuple[Kinds, Kinds]:
    """Return the task types that a stage takes and gives, from the parameters of `ProcessingStage[X, Y]`; empty if unknown."""
    for base in type(stage).__mro__:
        for parametrised in cast("tuple[Any, ...]", vars(base).get("__orig_bases__", ())):
            origin, arguments = get_origin(parametrised), get_args(parametrised)
            if isinstance(origin, type) and issubclass(origin, ProcessingStage) and len(arguments) == 2:
                return _kinds(arguments[0]), _kinds(arguments[1])
    return (), ()


def _kinds(annotation: Any) -> Kinds:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        parts = [_kinds(part) for part in get_args(annotation) if part is not type(None)]
        return () if not all(parts) else tuple(kind for part in parts for kind in part)
    if isinstance(annotation, TypeVar):
        return ()
    kind = origin or annotation
    if not isinstance(kind, type) or not issubclass(kind, Task):
        return ()
    return (cast("type[Task[Any]]", kind),)


def _check_kinds(planned: PlannedStage, takes: Kinds, stream: _Stream) -> None:
    specs = planned.stage.inputs()
    if isinstance(specs, dict):
        takes = tuple(specs)
    if not takes or not stream.kinds:
        return
    # A stage may be annotated with a base or with a subclass of what comes; both can work at run time.
    if any(issubclass(comes, wants) or issubclass(wants, comes) for comes in stream.kinds for wants in takes):
        return
    comes, wants = (" or ".join(kind.__name__ for kind in kinds) for kinds in (stream.kinds, takes))
    advice = (
        "start the pipeline with a reader, or pass initial_tasks"
        if planned.index == 0
        else "put a stage between them that turns the one into the other"
    )
    message = (
        f"stage {planned.name!r} (added at {planned.declared_at}) takes {wants}, but {stream.maker} {comes}; {advice}"
    )
    raise ChainError(message)


def _check_columns(planned: PlannedStage, stream: _Stream) -> None:
    specs = planned.stage.inputs()
    if isinstance(specs, dict) or not stream.closed:
        return
    missing = [column for column in specs[1] if column not in stream.columns]
    if missing:
        there = ", ".join(sorted(stream.columns)) or "none"
        message = (
            f"stage {planned.name!r} (added at {planned.declared_at}) needs column {', '.join(map(repr, missing))}, which no stage "
            f"before it produces; the columns there are: {there}.{did_you_mean(missing[0], stream.columns)}"
        )
        raise ChainError(message)


def _after(planned: PlannedStage, takes: Kinds, gives: Kinds, stream: _Stream) -> _Stream:
    stage = planned.stage
    adds = set(stage.outputs()[1])
    same_kind = bool(gives) and gives == takes
    carried = set(stream.columns) if same_kind else set[str]()
    closed = stage.outputs_are_complete and (stream.closed or not same_kind)
    return _Stream(kinds=gives, maker=f"stage {planned.name!r} gives", columns=carried | adds, closed=closed)
