"""A slow stage between two fast ones on Ray, against NeMo Curator 1.4.0: how busy the slow stage's workers are.

Why: the slow stage is the model, and its workers hold what costs most, a GPU; every moment in which one of them waits for input, or
for somebody to take its output, is lost. It takes 5 s to set up and 10 ms a call, in which it sleeps; the stages around it take 0.3 ms of
Python. It asks for half a CPU, the others for one, and for an environment of its own, so nobody runs it in one worker with them; how many
workers it gets is the engine's choice. Each worker notes start and end of every call. `busy %` is the part of the time in which a worker was in a call, from the
first call after the first tenth of its calls to its last, over all workers; `worst %` that of the worker with the
smallest; `together %` looks at all workers from when the last of them has warmed up to the very last call of any.
Environments and clusters are those of `ray_small_tasks`; on NeMo Curator's `XennaExecutor` the stages ask for 0.2 and the slow one for
0.1 CPUs. Goal: 99 % busy.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import Case, CaseResult, Column, Sample, Scale
from benchmarks.ray_contestants import (
    local_contestant,
    pairs,
    ray_contestants,
    times_as_long,
    with_and_without,
)

__all__ = ["cases", "conclude"]

_SETUP_S, _CALL_S = 5.0, 0.01


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return a case with a cluster and one without. Makes the environments, the first time."""
    count = scale.pick(400, 100, 40)
    arguments = (count, scale.pick(_SETUP_S, 1.0, 0.1), _CALL_S)
    return tuple(
        Case(
            title=f"{count} tasks, a stage of 10 ms a call between two of 0.3 ms, {'cluster up' if up else 'no cluster'}",
            contestants=(
                local_contestant(scale, "ray_model", *arguments),
                *ray_contestants(scale, "ray_model", lambda _: arguments, up=up),
            ),
            repeats=scale.pick(3, 1, 1),
            warm_up=scale is Scale.FULL and up,
            same=("tasks", "calls"),
            columns=(
                Column("workers", lambda sample: sample.facts["workers"], 0),
                Column("busy %", _busy, 2),
                Column("worst %", lambda sample: 100 * sample.facts["busy_worst"], 2),
                Column("together %", lambda sample: 100 * sample.facts["busy_together"], 2),
            ),
        )
        for up in with_and_without(scale)
    )


def _busy(sample: Sample) -> float:
    return 100 * sample.facts["busy_mean"]


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Set how busy everybody's workers were beside the goal."""
    sentences: list[str] = []
    for result in results:
        for name in result.samples:
            busy = result.spread(name, _busy)
            sentences.append(
                f"{result.case.title}: {name}: busy {busy.median:.2f} % ({busy.low:.2f}..{busy.high:.2f}); goal for ours: 99 %"
            )
        for engine, ours, theirs in pairs(result):
            sentences.append(f"{result.case.title}: {times_as_long(result, engine, theirs, ours)}")
    return sentences
