"""What a checkpoint costs, and how long a run takes to find where it was.

Why: who has to choose between speed and not losing a night's work chooses wrong at some time. Every small task is a source here, which is
the worst there is: a line for each. Against: the same run without a checkpoint. Goals: under 2 % at a millisecond of work a task; over
100,000 finished sources the first new task is worked on within 2 s.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import Case, CaseResult, Column, Contestant, Scale, Spread
from benchmarks.measure import program

__all__ = ["cases", "conclude"]

_WITH, _WITHOUT, _RESUMED = "with a checkpoint", "without", "resumed"


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return a case for each mode, and one of a run that goes on."""
    count = scale.pick(8_000, 800, 20)
    finished = scale.pick(100_000, 5_000, 50)
    costs = tuple(
        Case(
            title=f"{count:,} sources of about a millisecond, mode {mode}",
            contestants=tuple(
                Contestant(name=name, command=program("resumed_pipeline", count, "fingerprint", said, mode))
                for name, said in ((_WITHOUT, "no"), (_WITH, "yes"))
            ),
            repeats=scale.pick(9, 3, 2),
            same=("tasks",),
        )
        for mode in ("inline", "processes")
    )
    resumed = Case(
        title=f"{finished:,} finished sources and ten new ones",
        contestants=tuple(
            Contestant(
                name=f"{_RESUMED}, mode {mode}",
                command=program("resumed_pipeline", finished + 10, "noop", "yes", mode, finished),
            )
            for mode in ("inline", "processes")
        ),
        repeats=scale.pick(5, 2, 1),
        warm_up=False,
        same=("tasks",),
        columns=(Column("s to the first new task", lambda sample: sample.facts["first_s"], digits=2),),
    )
    return (*costs, resumed)


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Say what it costs."""
    sentences: list[str] = []
    for result in results[:-1]:
        ratio = result.ratio(_WITH)
        cpu = result.paired(_WITH, _WITHOUT, lambda mine, theirs: mine.cpu / theirs.cpu)
        sentences.append(
            f"{result.case.title}: a checkpoint costs {(ratio.median - 1):+.1%} wall ({ratio.low - 1:+.1%}..{ratio.high - 1:+.1%}), "
            f"{(cpu.median - 1):+.1%} CPU (goal: under 2 %)"
        )
    for name, samples in results[-1].samples.items():
        first = Spread.of(sample.facts["first_s"] for sample in samples)
        sentences.append(f"{name}: the first new task after {first.median:.2f} s (goal: 2 s)")
    return sentences
