"""The compiled pipeline: frozen, printable, picklable. Nothing in it changes while it runs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from nemo_curator.engine.sources import Sources
from nemo_curator.stages.base import ProcessingStage, Topology
from nemo_curator.stages.retries import Retries

__all__ = ["ExecutionPlan", "PlannedStage", "Segment", "WorkerShape", "most_busy", "with_sources"]

# Ten tenths of a CPU are one, whatever floats make of it.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class WorkerShape:
    """What makes a worker able to host a segment; workers of one shape are interchangeable.

    Attributes:
        threads: Threads that native libraries may use: the stage's CPUs, rounded up.
        gpus: GPUs or a share of one.
        runtime_env: The stage's runtime environment in canonical JSON; empty for none.
    """

    threads: int = 1
    gpus: float = 0.0
    runtime_env: str = ""

    def __str__(self) -> str:
        parts = [f"{self.threads} thread{'s' * (self.threads > 1)}"]
        if self.gpus:
            parts.append(f"{self.gpus:g} GPU")
        if self.runtime_env:
            parts.append(f"environment {self.runtime_env}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """One stage of a plan, everything about it resolved.

    Attributes:
        index: Position in the plan, from 0.
        name: Unique in the plan.
        stage: The user's object. Never changed: workers run copies of it.
        batch_size: Tasks per call, never `None`.
        is_source: Its outputs are the sources, the units of progress.
        is_sink: Its outputs are the pipeline's.
        fans_out: It says that one task may become several.
        topology: Whether it sees its stream in batches or all at once.
        cpus: CPUs of one worker.
        num_workers: Workers that may host it; `None` for as many as help.
        num_workers_per_node: The same per node; at most one of the two is given.
        shape: What a worker needs in order to host it.
        declared_at: ``file:line`` where it was added to the pipeline.
        timeout_s: Seconds that one call may take; `None` for any time.
        retries: What the stage says about its own retries; `None` if the run decides.
        memory_bytes: Memory of one worker; 0 if the stage does not say.
        sources: What a source stage has to know of the run; `None` if there is nothing.
    """

    index: int
    name: str
    stage: ProcessingStage[Any, Any]
    batch_size: int
    is_source: bool
    is_sink: bool
    fans_out: bool
    topology: Topology
    cpus: float
    num_workers: int | None
    num_workers_per_node: float | None
    shape: WorkerShape
    declared_at: str
    timeout_s: float | None = None
    retries: Retries | None = None
    memory_bytes: int = 0
    sources: Sources | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Adjacent stages that a bundle passes in one worker without being serialised.

    Attributes:
        index: Position among the segments, from 0.
        stages: At least one.
        starts_because: Why it was not fused with the segment before it; empty for the first.
    """

    index: int
    stages: tuple[PlannedStage, ...]
    starts_because: str = ""

    @property
    def name(self) -> str:
        """The stages' names, joined."""
        return " > ".join(stage.name for stage in self.stages)

    @property
    def batch_size(self) -> int:
        """Bundles for this segment hold multiples of this, as long as the stream lasts."""
        return self.stages[0].batch_size

    @property
    def is_barrier(self) -> bool:
        """Whether it gets its whole stream as one bundle."""
        return self.stages[0].topology is Topology.BARRIER

    @property
    def cpus(self) -> float:
        """CPUs that it keeps busy while it runs a bundle."""
        return max(stage.cpus for stage in self.stages)

    @property
    def memory_bytes(self) -> int:
        """Memory that its stages say a worker needs for it; 0 if none does."""
        return max(stage.memory_bytes for stage in self.stages)

    @property
    def shape(self) -> WorkerShape:
        """What a worker needs in order to host it."""
        return self.stages[0].shape

    def worker_limit(self, nodes: int) -> int | None:
        """Return how many workers may host it on so many nodes; `None` for as many as help."""
        per_node = self.stages[0].num_workers_per_node
        return self.stages[0].num_workers if per_node is None else max(1, math.ceil(per_node * nodes))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionPlan:
    """A pipeline, ready to run on any backend.

    Attributes:
        name: Name of the pipeline.
        stages: All stages in order.
        segments: The same stages, grouped by what runs together.
        decomposition: For each composite the names of the stages that it became.
    """

    name: str
    stages: tuple[PlannedStage, ...]
    segments: tuple[Segment, ...]
    decomposition: dict[str, list[str]]


def most_busy(segments: Iterable[Segment], cpus: float, nodes: int = 1) -> int:
    """Return how many workers so many CPUs can keep busy at a time: one a CPU, and more where segments ask for less than one.

    Those of segments that ask for none come on top where their number is fixed; where it is not, they have the places of the others.

    Args:
        segments: What there is to do.
        cpus: CPUs of all machines together.
        nodes: How many machines these are.
    """
    left, number = cpus, 0
    for segment in sorted(segments, key=lambda segment: segment.cpus):
        limit = segment.worker_limit(nodes)
        fit = int(left / segment.cpus + _ROUNDING) if segment.cpus else limit or 0
        hosts = fit if limit is None else min(fit, limit)
        number, left = number + hosts, left - hosts * segment.cpus
    return max(1, int(cpus), number)


def with_sources(plan: ExecutionPlan, sources: Sources) -> ExecutionPlan:
    """Return a plan whose source stage knows what of the run it has to."""
    stages = tuple(replace(stage, sources=sources) if stage.is_source else stage for stage in plan.stages)
    segments = tuple(
        replace(segment, stages=tuple(stages[stage.index] for stage in segment.stages)) for segment in plan.segments
    )
    return replace(plan, stages=stages, segments=segments)
