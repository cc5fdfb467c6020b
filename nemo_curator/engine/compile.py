"""From what a user wrote to a plan that can run. Pure: the user's stages are read, never changed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, cast

from nemo_curator.engine.chain import check_chain
from nemo_curator.engine.fuse import fuse
from nemo_curator.engine.plan import ExecutionPlan, PlannedStage, WorkerShape
from nemo_curator.errors import PlanError
from nemo_curator.stages.base import CompositeStage, ProcessingStage, StageMeta
from nemo_curator.stages.retries import Retries
from nemo_curator.tasks import EmptyTask

__all__ = ["compile_plan", "not_a_stage"]

_GIB = 1024**3
_MAX_DEPTH = 32
_UNKNOWN = "<unknown>"

AnyStage = ProcessingStage[Any, Any]


def compile_plan(
    stages: Sequence[AnyStage],
    *,
    name: str = "pipeline",
    declared_at: Sequence[str] = (),
    first_task: object = None,
    fuse_stages: bool = True,
) -> ExecutionPlan:
    """Return the plan of a pipeline.

    Args:
        stages: As the user wrote them, composites included.
        name: Name of the pipeline, for messages.
        declared_at: ``file:line`` of each stage, where known.
        first_task: A task of the kind that the run starts from; an `EmptyTask` when not given.
        fuse_stages: Whether adjacent stages may run together in one worker.

    Raises:
        PlanError: The pipeline cannot run as it is written; the message says which stage and why.
    """
    if not stages:
        message = f"pipeline {name!r} has no stages; add at least one with add_stage"
        raise PlanError(message)
    places = [*declared_at, *[_UNKNOWN] * (len(stages) - len(declared_at))]
    decomposition: dict[str, list[str]] = {}
    flat: list[tuple[AnyStage, str]] = []
    for stage, place in zip(stages, places, strict=False):
        flat += [(part, place) for part in _expand(stage, place, decomposition, ())]
    source = _role([stage for stage, _ in flat], "source", default=0, pipeline=name)
    sink = _role([stage for stage, _ in flat], "sink", default=len(flat) - 1, pipeline=name)
    names = _unique([stage.name for stage, _ in flat])
    planned = tuple(
        _resolve(index, names[index], stage, place, is_source=index == source, is_sink=index == sink)
        for index, (stage, place) in enumerate(flat)
    )
    check_chain(planned, EmptyTask() if first_task is None else first_task)
    segments = fuse(planned, enabled=fuse_stages)
    return ExecutionPlan(name=name, stages=planned, segments=segments, decomposition=decomposition)


def _expand(stage: object, place: str, found: dict[str, list[str]], above: tuple[str, ...]) -> list[AnyStage]:
    """Return the stages that `stage` stands for, itself if it is not a composite."""
    if not isinstance(stage, ProcessingStage):
        message = f"a pipeline is made of ProcessingStage instances; got {not_a_stage(stage)} (added at {place})"
        raise PlanError(message)
    if not isinstance(stage, CompositeStage):
        return [stage]
    if len(above) >= _MAX_DEPTH:
        message = f"composite {above[0]!r} (added at {place}) never ends: {' > '.join(above[:4])} > ..."
        raise PlanError(message)
    parts = stage.decompose_and_apply_with()
    if not parts:
        message = f"composite {stage.name!r} (added at {place}) decomposes to nothing; its decompose() must return at least one stage"
        raise PlanError(message)
    flat = [leaf for part in parts for leaf in _expand(part, place, found, (*above, stage.name))]
    found[stage.name] = [leaf.name for leaf in flat]
    return flat


def not_a_stage(thing: object) -> str:
    """Return what somebody put where a stage instance belongs, for messages."""
    if isinstance(thing, StageMeta):
        return f"the class {thing.__name__} itself; make an instance: {thing.__name__}(...)"
    return f"{thing!r}, a {type(thing).__name__}"


def _role(stages: list[AnyStage], role: str, *, default: int, pipeline: str) -> int:
    explicit = [index for index, stage in enumerate(stages) if getattr(stage, f"is_{role}_stage")]
    if len(explicit) > 1:
        names = ", ".join(repr(stages[index].name) for index in explicit)
        message = f"pipeline {pipeline!r} has {len(explicit)} {role} stages ({names}); keep is_{role}_stage=True on one of them"
        raise PlanError(message)
    return explicit[0] if explicit else default


def _unique(names: list[str]) -> list[str]:
    """Number the second and later stages of a name (``read``, ``read_2``), past names that the user gave to others."""
    given = set(names)
    unique: list[str] = []
    for name in names:
        candidate, number = name, 2
        while candidate in unique or (number > 2 and candidate in given):
            candidate, number = f"{name}_{number}", number + 1
        unique.append(candidate)
    return unique


def _resolve(index: int, name: str, stage: AnyStage, place: str, *, is_source: bool, is_sink: bool) -> PlannedStage:
    size = stage.batch_size
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):  # pyright: ignore[reportUnnecessaryIsInstance] - user input
        message = f"stage {name!r} (added at {place}): batch_size must be a whole number from 1, or None; got {size!r}"
        raise PlanError(message)
    return PlannedStage(
        index=index,
        name=name,
        stage=stage,
        # One is what callers get from an engine that chooses: the same on every backend, and bundles keep it cheap.
        batch_size=size or 1,
        is_source=is_source,
        is_sink=is_sink,
        fans_out=bool(stage.ray_stage_spec().get("is_fanout_stage", stage.is_fanout_stage())),
        topology=stage.topology,
        cpus=float(stage.resources.cpus),
        num_workers=_fixed_workers(name, stage, place),
        num_workers_per_node=_workers_per_node(name, stage, place),
        shape=_shape(name, stage, place),
        declared_at=place,
        timeout_s=_timeout(name, stage, place),
        retries=_retries(name, stage, place),
        memory_bytes=round(stage.resources.memory_gb * _GIB),
    )


def _timeout(name: str, stage: AnyStage, place: str) -> float | None:
    seconds = cast("object", stage.timeout_s)
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
        message = f"stage {name!r} (added at {place}): timeout_s must be a number of seconds above 0, or None; got {seconds!r}"
        raise PlanError(message)
    return float(seconds)


def _retries(name: str, stage: AnyStage, place: str) -> Retries | None:
    retries = cast("object", stage.retries)
    if retries is not None and not isinstance(retries, Retries):
        message = f"stage {name!r} (added at {place}): retries must be a Retries(...), or None; got {retries!r}"
        raise PlanError(message)
    return retries


def _fixed_workers(name: str, stage: AnyStage, place: str) -> int | None:
    count = stage.num_workers()
    if count is not None and (not isinstance(count, int) or count < 1):  # pyright: ignore[reportUnnecessaryIsInstance] - user input
        message = (
            f"stage {name!r} (added at {place}): num_workers() must be a whole number from 1, or None; got {count!r}"
        )
        raise PlanError(message)
    return count


def _workers_per_node(name: str, stage: AnyStage, place: str) -> float | None:
    count = stage.num_workers_per_node()
    if count is not None and not (isinstance(count, (int, float)) and 0 < count < math.inf):  # pyright: ignore[reportUnnecessaryIsInstance] - user input
        message = f"stage {name!r} (added at {place}): num_workers_per_node() must be a number above 0, or None; got {count!r}"
        raise PlanError(message)
    return count


def _shape(name: str, stage: AnyStage, place: str) -> WorkerShape:
    try:
        env = json.dumps(stage.runtime_env, sort_keys=True) if stage.runtime_env else ""
    except TypeError as error:
        message = f"stage {name!r} (added at {place}): runtime_env must hold plain values: {error}"
        raise PlanError(message) from None
    return WorkerShape(
        threads=max(1, math.ceil(stage.resources.cpus)), gpus=float(stage.resources.gpus), runtime_env=env
    )
