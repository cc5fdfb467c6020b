"""Why nothing moves, in words: who waits for what, what is under way, and where every worker stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nemo_curator.engine.guard import Reading
from nemo_curator.engine.plan import ExecutionPlan
from nemo_curator.engine.scheduler import Scheduler

__all__ = ["describe_stall"]

_MIB = 1024**2


def describe_stall(
    seconds: float,
    plan: ExecutionPlan,
    scheduler: Scheduler,
    readings: Sequence[Reading],
    stacks: Mapping[int, str],
    now: float,
) -> str:
    """Return a report of several lines.

    Args:
        seconds: For how long nothing has moved.
        plan: What runs.
        scheduler: What waits and what is under way.
        readings: What can be seen of the workers.
        stacks: The Python stack of each, as far as it could be had.
        now: The time, by the beacons' clock.
    """
    lines = [f"pipeline {plan.name!r}: nothing has moved for {seconds:.0f} s"]
    lines += [
        f"  segment {state.name!r}: {state.queued} tasks ({state.queued_bytes / _MIB:.1f} MiB) wait, {state.active} bundles "
        f"with {state.in_flight} tasks are under way; {state.why}"
        for state in scheduler.states()
    ]
    for reading in sorted(readings, key=lambda reading: reading.worker):
        lines.append(f"  worker {reading.worker}: {_doing(plan, reading, now)}")
        lines += [f"    {line}" for line in stacks.get(reading.worker, "").splitlines()]
    return "\n".join(lines)


def _doing(plan: ExecutionPlan, reading: Reading, now: float) -> str:
    where = reading.where
    memory = "" if reading.private_bytes is None else f" ({reading.private_bytes / _MIB:.0f} MiB)"
    if reading.busy_with is None:
        return f"idle{memory}"
    if not where.since:
        return f"busy with segment {reading.busy_with.name!r}, outside of any stage{memory}"
    name = plan.stages[where.stage].name
    task = f" on task {where.task}" if where.task else ""
    what = "sets up" if where.position < 0 else f"is in a call{task} of"
    return f"{what} stage {name!r}, for {now - where.since:.0f} s{memory}"
