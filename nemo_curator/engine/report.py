"""What a run did: counts per stage, sources, failures."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from nemo_curator.engine.failure import Failure
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.plan import ExecutionPlan

__all__ = ["RunReport", "StageReport"]


@dataclass(slots=True)
class StageReport:
    """One stage of a run: its name and what it did."""

    name: str
    counts: StageCounts = field(default_factory=StageCounts)


@dataclass(slots=True)
class RunReport:
    """A run, as far as it came.

    Attributes:
        pipeline: Name of the pipeline.
        backend: Name of the backend.
        stages: Counts of every stage, in order.
        tasks_fed: Tasks that the run started from.
        tasks_delivered: Tasks that came out of the last stage.
        sources_completed: Sources all of whose tasks came to an end without a failure.
        sources_failed: Sources of which a task failed.
        failures: What was raised, one entry a task that was given up.
        workers_lost: Workers that died with something to do.
        peak_worker_bytes: The most memory that one worker was seen to have of its own; 0 where that cannot be told.
        warnings: What went wrong without costing a task, in sentences.
        seconds: Wall time.
        status: ``running``, ``completed``, ``failed``, ``interrupted`` or, for a stream that was not read to its end, ``closed``.
    """

    pipeline: str
    backend: str
    stages: list[StageReport]
    tasks_fed: int = 0
    tasks_delivered: int = 0
    sources_completed: int = 0
    sources_failed: int = 0
    failures: list[Failure] = field(default_factory=list[Failure])
    workers_lost: int = 0
    peak_worker_bytes: int = 0
    warnings: list[str] = field(default_factory=list[str])
    seconds: float = 0.0
    status: str = "running"

    @classmethod
    def of(cls, plan: ExecutionPlan, backend: str) -> RunReport:
        """Return the empty report of a run that begins."""
        return cls(plan.name, backend, [StageReport(stage.name) for stage in plan.stages])

    def stage(self, name: str) -> StageCounts:
        """Return the counts of the stage of that name.

        Raises:
            KeyError: There is none.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage.counts
        message = f"no stage {name!r}; there are: {', '.join(stage.name for stage in self.stages)}"
        raise KeyError(message)

    @property
    def sources_left_out(self) -> int:
        """Sources that the run did not take: finished before, or another shard's."""
        return sum(stage.counts.sources_left_out for stage in self.stages)

    def imbalances(self) -> list[str]:
        """Return where tasks were lost or doubled, a sentence each; nothing when the books balance."""
        found: list[str] = []
        arriving, where = self.tasks_fed, "were fed"
        for stage in self.stages:
            counts = stage.counts
            if counts.tasks_in != arriving:
                found.append(f"{arriving} tasks {where}, but stage {stage.name!r} took {counts.tasks_in}")
            if not counts.balanced:
                found.append(
                    f"stage {stage.name!r} took {counts.tasks_in} tasks, but kept {counts.tasks_kept}, dropped {counts.dropped} "
                    f"and failed {counts.tasks_failed}"
                )
            arriving, where = counts.tasks_out, f"left stage {stage.name!r}"
        if arriving != self.tasks_delivered:
            found.append(f"{arriving} tasks {where}, but {self.tasks_delivered} were delivered")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        plain = asdict(self)
        for failure in plain["failures"]:
            del failure["pickled"]
        return plain
