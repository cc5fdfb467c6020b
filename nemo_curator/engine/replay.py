"""What failed, run again alone: for every stage that gave up on tasks, the plan from there on and the tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nemo_curator.engine.claims import ONE
from nemo_curator.engine.envelope import Envelope
from nemo_curator.engine.fuse import fuse
from nemo_curator.engine.plan import ExecutionPlan
from nemo_curator.engine.quarantine import Entry, Quarantine
from nemo_curator.errors import PlanError, did_you_mean

__all__ = ["Replay", "replays", "tail_of"]


@dataclass(frozen=True, slots=True)
class Replay:
    """Tasks that one stage gave up on.

    Attributes:
        plan: That stage and those after it.
        entries: The tasks, as the quarantine has them.
    """

    plan: ExecutionPlan
    entries: tuple[Entry, ...]

    def seeds(self, quarantine: Quarantine) -> Iterator[Envelope]:
        """Yield the tasks, read one by one, under the ids that they had."""
        for entry in self.entries:
            yield Envelope(entry.id, quarantine.load(entry), ((entry.id, ONE),), slots=entry.slots)


def replays(plan: ExecutionPlan, entries: Sequence[Entry], *, fuse_stages: bool = True) -> list[Replay]:
    """Return what there is to run, by stage, in the order of the plan. Entries whose task was not kept are left out.

    Raises:
        PlanError: The plan has no stage of that name.
    """
    names = [stage.name for stage in plan.stages]
    by_stage: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.stage not in names:
            message = (
                f"task {entry.id} in quarantine was given up by stage {entry.stage!r}, but pipeline {plan.name!r} has: "
                f"{', '.join(names)}.{did_you_mean(entry.stage, names)}"
            )
            raise PlanError(message)
        if entry.has_payload:
            by_stage.setdefault(entry.stage, []).append(entry)
    return [
        Replay(tail_of(plan, index, fuse_stages=fuse_stages), tuple(by_stage[name]))
        for index, name in enumerate(names)
        if name in by_stage
    ]


def tail_of(plan: ExecutionPlan, start: int, *, fuse_stages: bool = True) -> ExecutionPlan:
    """Return the plan of a pipeline's stages from `start` on, each with the role that it had."""
    stages = tuple(replace(stage, index=index) for index, stage in enumerate(plan.stages[start:]))
    return replace(plan, stages=stages, segments=fuse(stages, enabled=fuse_stages))
