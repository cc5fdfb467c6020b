"""The smallest pipeline there is: one task through four stages, as a whole process.

Why: it is what a newcomer runs first, and what every test of a user's pipeline costs; on engines with a cluster to start it
takes more than ten seconds. Against: a script that calls the same four functions. Goal: under one second.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import Case, CaseResult, Contestant, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude"]


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return one case."""
    contestants = (
        Contestant(name="plain script", command=program("hello_plain")),
        Contestant(name="LocalExecutor(), processes", command=program("hello_pipeline", "processes")),
        Contestant(name="LocalExecutor(mode='inline')", command=program("hello_pipeline", "inline")),
    )
    return (
        Case(
            title="Hello pipeline, one task, 4 stages",
            contestants=contestants,
            repeats=scale.pick(11, 3, 2),
            same=("greetings",),
        ),
    )


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Set the times beside the goal."""
    (result,) = results
    names = list(result.samples)[1:]
    return [f"{name}: {result.median(name):.2f} s for the whole process; goal: under 1 s" for name in names]
