"""What it costs on a healthy run that workers say where they are and somebody watches them.

Why: what saves a run at night is paid for by every run. Small tasks through a source and three stages, fused, in the caller's thread
(where nothing hides the cost of a call) and in two processes. Against: the same run with beacons that write nothing and nobody
who looks. Goal: under 3 % with a third of a millisecond of work a call; tasks without any show the cost per call.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import Case, CaseResult, Contestant, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude"]

_OFF, _DEFAULT, _ALL = "guards off", "as it comes", "all guards"


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return a case for each mode and kind of work."""
    plans = (
        ("inline", "noop", scale.pick(100_000, 10_000, 100)),
        ("processes", "noop", scale.pick(200_000, 20_000, 100)),
        ("processes", "fingerprint", scale.pick(8_000, 800, 20)),
    )
    return tuple(
        Case(
            title=f"{count:,} tasks, work: {work}, mode {mode}",
            contestants=tuple(
                Contestant(name=name, command=program("guarded_pipeline", count, work, guards, mode))
                for name, guards in ((_OFF, "none"), (_DEFAULT, "default"), (_ALL, "all"))
            ),
            repeats=scale.pick(9, 3, 2),
            same=("tasks",),
        )
        for mode, work, count in plans
    )


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Say what the guards cost."""
    sentences: list[str] = []
    for result in results:
        for name in (_DEFAULT, _ALL):
            ratio = result.ratio(name)
            cpu = result.paired(name, _OFF, lambda mine, theirs: mine.cpu / theirs.cpu)
            sentences.append(
                f"{result.case.title}: {name} costs {(ratio.median - 1):+.1%} wall ({ratio.low - 1:+.1%}..{ratio.high - 1:+.1%}), "
                f"{(cpu.median - 1):+.1%} CPU (goal: under 3 %)"
            )
    return sentences
