"""Which stages run together in one worker, and why others do not."""

from __future__ import annotations

from collections.abc import Sequence

from nemo_curator.engine.plan import PlannedStage, Segment
from nemo_curator.stages.base import Topology

__all__ = ["fuse"]


def fuse(stages: Sequence[PlannedStage], *, enabled: bool = True) -> tuple[Segment, ...]:
    """Group adjacent stages into segments, as long as `why_apart` finds no reason against it."""
    groups: list[tuple[list[PlannedStage], str]] = []
    for stage in stages:
        reason = ("fusion is off" if not enabled else why_apart(groups[-1][0][-1], stage)) if groups else ""
        if groups and not reason:
            groups[-1][0].append(stage)
        else:
            groups.append(([stage], reason))
    return tuple(
        Segment(index=index, stages=tuple(members), starts_because=reason)
        for index, (members, reason) in enumerate(groups)
    )


def why_apart(before: PlannedStage, after: PlannedStage) -> str:
    """Return why two adjacent stages must not run in one segment, as half a sentence; nothing when they may."""
    if before.fans_out:
        return f"{before.name!r} fans out, and its children shall spread over the machine"
    if Topology.BARRIER in (before.topology, after.topology):
        barrier = after if after.topology is Topology.BARRIER else before
        return f"{barrier.name!r} is a barrier"
    if after.batch_size > 1:
        return f"{after.name!r} is called with exactly {after.batch_size} tasks, which are collected over all workers"
    if before.shape != after.shape:
        return f"{after.name!r} needs another kind of worker ({after.shape} instead of {before.shape})"
    if (before.num_workers, before.num_workers_per_node) != (after.num_workers, after.num_workers_per_node):
        return f"{before.name!r} and {after.name!r} fix different numbers of workers"
    return ""
