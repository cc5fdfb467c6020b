"""From a thousand to a million tasks with nothing to do: what the engine itself costs, in time and in memory.

Why: whatever a task costs here, every task of every pipeline pays; and a driver that remembers every task ends long runs.
A source yields short texts lazily, three stages return them as they are, and no outputs are brought back. The last contestant
ends in a stage that returns what a writer returns. Against: a loop that calls the same functions.

A task costs "per task and stage" what a run takes longer than the smallest one (which is mostly the start of processes),
divided by the further tasks and the four stages. Goals: under 20 us fused, under 100 us across processes; the driver grows
by less than 200 MB.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import Case, CaseResult, Column, Contestant, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude"]

_STAGES = 4
_GOALS = {"fused": "under 20 us", "across processes": "under 100 us", "fused, writer at the end": "under 20 us"}


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return a case for each number of tasks."""
    counts = scale.pick((1000, 10_000, 100_000, 1_000_000), (1000, 10_000), (10, 100))
    repeats = scale.pick(3, 2, 2)
    return tuple(
        Case(
            title=f"{count:,} no-op tasks, source + 3 stages",
            contestants=(
                Contestant(name="plain loop", command=program("tasks_loop", count, "noop")),
                Contestant(name="fused", command=program("tasks_pipeline", count, "noop")),
                Contestant(name="across processes", command=program("tasks_pipeline", count, "noop", "--no-fuse")),
                Contestant(
                    name="fused, writer at the end", command=program("tasks_pipeline", count, "noop", "--writer")
                ),
            ),
            repeats=repeats,
            warm_up=count == counts[0],
            same=("tasks",),
            columns=(
                Column("all us/(task, stage)", lambda sample: sample.wall * 1e6 / (sample.facts["tasks"] * _STAGES)),
            ),
        )
        for count in counts
    )


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Set cost and growth beside the goals, for every number of tasks above the smallest."""
    smallest, *larger = results
    sentences: list[str] = []
    for name, goal in _GOALS.items():
        for result in larger:
            tasks = _tasks(result, name)
            further = (tasks - _tasks(smallest, name)) * _STAGES
            cost = (result.median(name) - smallest.median(name)) * 1e6 / further
            growth = _driver_mb(result, name) - _driver_mb(smallest, name)
            sentences.append(
                f"{name}, {tasks:,} tasks: {cost:.1f} us per task and stage (goal: {goal}); "
                f"driver grows by {growth:.0f} MB (goal for 1,000,000: under 200 MB)"
            )
    return sentences


def _tasks(result: CaseResult, name: str) -> int:
    return result.samples[name][0].facts["tasks"]


def _driver_mb(result: CaseResult, name: str) -> float:
    return result.median(name, lambda sample: sample.driver_mb)
