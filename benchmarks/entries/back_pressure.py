"""A producer more than 100 times as fast as its consumer, payloads of 100 kB: how much memory waits between the two.

Why: without back-pressure the whole data set ends up in a queue, and a run that works on a sample dies on the real thing.
Memory of the whole process tree counts, at two sizes: with back-pressure it does not grow with the number of payloads. Ours
may keep 8 MB between the stages (``edge_bytes``). Against: a loop that holds one payload at a time; a pool's
`imap_unordered`, which a full pipe to its workers holds back; and `ProcessPoolExecutor.map`, which takes its whole input
before the first result.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import Case, CaseResult, Contestant, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude"]

_WORKERS = 2
_EDGE_BYTES = 8 * 1024**2
_LOOP, _OURS = "plain loop", "LocalExecutor, edge_bytes=8 MiB"
_POOL, _FUTURES = "Pool.imap_unordered", "ProcessPoolExecutor.map"


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return a case for each number of payloads."""
    counts = scale.pick((2000, 20_000), (200, 1000), (20,))
    return tuple(
        Case(
            title=f"{count:,} payloads of 100 kB ({count / 10_000:g} GB), {_WORKERS} workers",
            contestants=(
                Contestant(name=_LOOP, command=program("pressure_loop", count)),
                Contestant(name=_OURS, command=program("pressure_pipeline", count, _WORKERS, _EDGE_BYTES)),
                Contestant(name=_POOL, command=program("pressure_pool", "pool", count, _WORKERS)),
                Contestant(name=_FUTURES, command=program("pressure_pool", "futures", count, _WORKERS)),
            ),
            repeats=scale.pick(3, 2, 2),
            warm_up=count == counts[0],
            same=("tasks",),
        )
        for count in counts
    )


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Say how memory grows with the number of payloads."""
    first, last = results[0], results[-1]
    return [
        f"{name}: {_tree_mb(first, name):.0f} MB for the smaller number of payloads, {_tree_mb(last, name):.0f} MB for the larger"
        for name in (_LOOP, _OURS, _POOL, _FUTURES)
    ]


def _tree_mb(result: CaseResult, name: str) -> float:
    return result.median(name, lambda sample: sample.tree_mb)
