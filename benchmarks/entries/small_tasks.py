"""2,000 small tasks through a source and three stages, as whole processes: once with 0.3 ms of Python a stage, once with none.

Why: pipelines of many small tasks are where the overhead of an engine shows; one Ray task or actor call per task costs
milliseconds. Against: one process that calls the same functions in a loop. Goal: under 2 s, which for the first variant
means that the second core must do more than pay for the engine.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import Case, CaseResult, Contestant, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude"]


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return a case for each variant."""
    count = scale.pick(2000, 400, 20)
    repeats = scale.pick(7, 2, 2)
    variants = (("fingerprint", "about 0.3 ms of Python a stage"), ("noop", "nothing to do"))
    return tuple(
        Case(
            title=f"{count:,} small tasks, source + 3 stages, {what}",
            contestants=_contestants(count, work),
            repeats=repeats,
            same=("tasks",),
        )
        for work, what in variants
    )


def _contestants(count: int, work: str) -> tuple[Contestant, ...]:
    return (
        Contestant(name="plain loop", command=program("tasks_loop", count, work)),
        Contestant(name="LocalExecutor()", command=program("tasks_pipeline", count, work)),
        Contestant(name="LocalExecutor(fuse=False)", command=program("tasks_pipeline", count, work, "--no-fuse")),
        Contestant(
            name="LocalExecutor(mode='inline')", command=program("tasks_pipeline", count, work, "--mode", "inline")
        ),
    )


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Set the times beside the goal."""
    name = "LocalExecutor()"
    return [
        f"{result.case.title}: {result.median(name):.2f} s, {result.ratio(name).median:.2f} times the plain loop; "
        "goal for 2,000: under 2 s"
        for result in results
    ]
