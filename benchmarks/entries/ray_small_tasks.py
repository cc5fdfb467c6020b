"""2,000 small tasks through a source and three stages on Ray, against NeMo Curator 1.4.0: engine against engine, as whole processes.

Why: pipelines of many small tasks are where the overhead of an engine shows, and start-up is what every run pays, however
small. The same program runs with either distribution, each in an environment of its own with its own Ray, with 0.3 ms of Python
a stage; and with a single task, which is start-up and nothing else. Executors are as they come, all outputs come back.
"Cluster up": there is a cluster of two CPUs with its dashboard, a fresh one for every run, started, at rest and ended outside the
measurement; "no cluster": the program starts its own, and no other Ray may run on the machine. Read the wall times: `CPU s` and the
megabytes are those of the program with what it started itself, without a cluster that was there before, and without workers
that Ray has ended and not waited for. NeMo Curator's `XennaExecutor` refuses one-CPU stages on two CPUs, one for each of four
stages: there, every stage asks for 0.2 CPUs, set by hand. Against: also one process that calls the same functions in a loop.
Goals: five times as fast as the same engine there with the cluster up, within 1.5 times the loop, and no slower to start.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import Case, CaseResult, Contestant, Scale
from benchmarks.measure import program
from benchmarks.ray_contestants import (
    ENGINES,
    OURS,
    local_contestant,
    name_of,
    pairs,
    ray_contestants,
    times_as_long,
    with_and_without,
)

__all__ = ["cases", "conclude"]

_LOOP = "plain loop"
_WORK = "fingerprint"


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return a case for each number of tasks, with a cluster and without. Makes the environments, the first time."""
    return tuple(
        _case(scale, count, up=up) for up in with_and_without(scale) for count in (1, scale.pick(2000, 100, 10))
    )


def _case(scale: Scale, count: int, *, up: bool) -> Case:
    first = (
        Contestant(name=_LOOP, command=program("tasks_loop", count, _WORK, "--content")),
        local_contestant(scale, "ray_tasks", count, _WORK),
    )
    return Case(
        title=f"{count:,} small task{'s' * (count > 1)}, source + 3 stages, {'cluster up' if up else 'no cluster'}",
        contestants=(*first, *ray_contestants(scale, "ray_tasks", lambda _: (count, _WORK), up=up)),
        repeats=scale.pick(3, 1, 1),
        warm_up=scale is Scale.FULL and count == 1 and up,
        same=("tasks", "content"),
    )


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Set each engine beside the same one there, and beside the loop."""
    sentences: list[str] = []
    for result in results:
        for engine, ours, theirs in pairs(result):
            sentences.append(f"{result.case.title}: {times_as_long(result, engine, theirs, ours)}")
    _, many, *_ = results
    for engine in ENGINES:
        ours = name_of(engine, OURS)
        if ours in many.samples:
            ratio = many.ratio(ours)
            sentences.append(
                f"{many.case.title}: ours on {ENGINES[engine]} takes {ratio.median:.2f} times as long as the plain loop "
                f"({ratio.low:.2f}..{ratio.high:.2f}); goal for 2,000: within 1.5 times"
            )
    return sentences
