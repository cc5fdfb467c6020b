"""Equal texts in JSON Lines of which one document in five has a copy in another file: the ids of all but one are written.

Why: it is the first thing that is done to any corpus. Ours reads, hashes, shuffles through files and names, with memory that does not grow with the
data; a query engine on one machine does the same in memory, in one line, and is what one would reach for.
Against: DuckDB and polars, with as many threads as ours has workers. All three must find the same number.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.corpus import OUT, make_copies
from benchmarks.environments import Unavailable, python_with
from benchmarks.harness import Case, CaseResult, Column, Contestant, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude", "emptied"]

_WORKERS = 2
_RESULTS = OUT / "exact_dedup"
_OURS, _DUCKDB, _POLARS = "ExactDeduplicationWorkflow", "DuckDB", "polars"


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return one case. Makes the corpus and the others' environments, the first time."""
    megabytes, files = scale.pick((256, 16), (16, 4), (1, 2))
    corpus = make_copies(megabytes, files)
    contestants = [emptied(_OURS, _RESULTS, lambda out: program("dedup_exact", _WORKERS, corpus, out))]
    if scale is not Scale.TINY:
        contestants += [
            _other(_DUCKDB, "dedup_exact_duckdb", corpus, "duckdb"),
            _other(_POLARS, "dedup_exact_polars", corpus, "polars"),
        ]
    return (
        Case(
            title=f"{megabytes} MB of JSON Lines and a fifth of their documents again, {_WORKERS} workers",
            contestants=tuple(contestants),
            repeats=scale.pick(5, 2, 2),
            same=("duplicates",),
            columns=(
                Column("MB/s", lambda sample: megabytes / sample.wall),
                Column("found", lambda sample: float(sample.facts["duplicates"]), digits=0),
            ),
        ),
    )


def _other(name: str, program_name: str, corpus: Path, requirement: str) -> Contestant:
    try:
        python = python_with(f"dedup-{requirement}", requirement)
    except Unavailable as why:
        return emptied(name, _RESULTS, lambda _: (), skipped=str(why))
    return emptied(name, _RESULTS, lambda out: program(program_name, _WORKERS, corpus, out, python=python))


def emptied(name: str, results: Path, command: Callable[[Path], tuple[str, ...]], skipped: str = "") -> Contestant:
    """Return a contestant with a folder for its output that is empty before every run."""
    output = results / name.replace(" ", "-")

    def empty() -> None:
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        # Nobody shall wait for what the one before has left to be written to the disk.
        os.sync()

    return Contestant(name=name, command=command(output), prepare=empty, skipped=skipped)


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Compare with the others."""
    (result,) = results
    sentences = []
    for name in (_DUCKDB, _POLARS):
        if name in result.samples and _OURS in result.samples:
            ratio = result.paired(_OURS, name, lambda mine, theirs: mine.wall / theirs.wall)
            sentences.append(
                f"ours takes {ratio.median:.2f} times as long as {name} ({ratio.low:.2f}..{ratio.high:.2f})"
            )
    return sentences
