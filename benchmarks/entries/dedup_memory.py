"""Fuzzy deduplication of 1, 2, 4 and 8 million short documents with a budget of 2 GB: does memory grow with the data?

Why: everything between the steps lies in files, so what is in memory is a task, a part of the digests, and some 100 bytes for each document that has a
duplicate. Only the last grows with the data: a tenth of these documents are nearly copies.
Against: nothing; it is our own promise. Parts are as many as there are half millions of documents, so that each is as large whatever the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.corpus import OUT, make_short_documents
from benchmarks.entries.exact_dedup import emptied
from benchmarks.harness import Case, CaseResult, Scale
from benchmarks.measure import program

__all__ = ["COUNTS", "MEMORY_GB", "RESULTS", "cases", "command", "conclude"]

COUNTS = (1_000_000, 2_000_000, 4_000_000, 8_000_000)
MEMORY_GB = 2
RESULTS = OUT / "dedup_memory"
_WORKERS, _BANDS, _ROWS, _FILES = 2, 10, 6, 32
_OURS = "FuzzyDeduplicationWorkflow, memory_gb=2"


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return a case for each number of documents."""
    return tuple(_case(count) for count in scale.pick(COUNTS, (20_000, 40_000), (1000,)))


def _case(count: int) -> Case:
    ours = emptied(_OURS, RESULTS / str(count), lambda out: command(count, out))
    return Case(title=f"{count:,} documents of 10 to 60 words", contestants=(ours,), repeats=1, warm_up=False)


def command(count: int, out: Path, in_part: int = 500_000) -> tuple[str, ...]:
    """Return what finds the duplicates of so many documents, with as many parts as have so many each. Makes the documents, the first time."""
    corpus = make_short_documents(count, _FILES)
    return program("dedup_fuzzy", _WORKERS, _BANDS, _ROWS, corpus, out, MEMORY_GB, max(1, count // in_part))


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Say how memory grows with the number of documents."""
    return [
        f"{result.case.title}: {result.median(_OURS, lambda sample: sample.tree_mb):.0f} MB at the peak, driver and workers"
        for result in results
        if _OURS in result.samples
    ]
