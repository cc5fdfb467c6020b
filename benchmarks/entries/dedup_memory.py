"""Fuzzy deduplication of 1, 2, 4 and 8 million short documents with a budget of 2 GB: does memory grow with the data?

Why: everything between the steps lies in files, so what is in memory is a task, a part of the digests, and some 100 bytes for each document that has a
duplicate. Only the last grows with the data: a tenth of these documents are nearly copies.
Against: nothing; it is our own promise. Parts are as many as there are half millions of documents, so that each is as large whatever the number.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.corpus import OUT, make_short_documents
from benchmarks.entries.exact_dedup import emptied
from benchmarks.harness import Case, CaseResult, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude"]

_WORKERS, _BANDS, _ROWS, _MEMORY_GB = 2, 10, 6, 2
_RESULTS = OUT / "dedup_memory"
_OURS = "FuzzyDeduplicationWorkflow, memory_gb=2"


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return a case for each number of documents."""
    counts = scale.pick((1_000_000, 2_000_000, 4_000_000, 8_000_000), (20_000, 40_000), (1000,))
    return tuple(_case(count, scale) for count in counts)


def _case(count: int, scale: Scale) -> Case:
    corpus = make_short_documents(count, scale.pick(32, 4, 2))
    parts = max(1, count // 500_000)
    ours = emptied(
        _OURS,
        _RESULTS / str(count),
        lambda out: program("dedup_fuzzy", _WORKERS, _BANDS, _ROWS, corpus, out, _MEMORY_GB, parts),
    )
    return Case(title=f"{count:,} documents of 30 words", contestants=(ours,), repeats=1, warm_up=False)


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Say how memory grows with the number of documents."""
    return [
        f"{result.case.title}: {result.median(_OURS, lambda sample: sample.tree_mb):.0f} MB at the peak, driver and workers"
        for result in results
        if _OURS in result.samples
    ]
