"""The text of HTML pages by resiliparse, in one process: what a stage around a library costs.

Why: extraction is most of the work of making a corpus from web archives, and it is a library's work. What a framework adds must not show.
Against: the same call in a loop by hand over the same files, which are the example corpus's pages, several times over. Both read
JSON Lines with gzip, and count pages and characters. Start-up, which is most of the small sizes, is in the times. Goal: within 5 % of
the loop.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.corpus import OUT, SHARDS
from benchmarks.harness import Case, CaseResult, Column, Contestant, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude"]

_HAND = "resiliparse in a loop"
_OURS = "LocalExecutor"


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return one case. Makes the copies of the pages, the first time."""
    shards, copies = scale.pick((12, 20), (12, 2), (1, 1))
    folder = _copies(shards, copies)
    return (
        Case(
            title=f"{shards} files of HTML pages, {copies} times over, one process",
            contestants=(
                Contestant(name=_HAND, command=program("extract_loop", folder)),
                Contestant(name=_OURS, command=program("extract_pipeline", folder)),
            ),
            repeats=scale.pick(5, 2, 2),
            same=("pages", "characters"),
            columns=(Column("pages/s", lambda sample: sample.facts["pages"] / sample.wall, digits=0),),
        ),
    )


def _copies(shards: int, copies: int) -> Path:
    folder = OUT / f"pages-{shards}-{copies}"
    if folder.exists():
        return folder
    aside = OUT / f".{folder.name}.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for copy in range(copies):
        for shard in sorted(SHARDS.glob("*.jsonl.gz"))[:shards]:
            shutil.copy(shard, aside / f"{copy:02}-{shard.name}")
    os.replace(aside, folder)
    return folder


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Compare with the loop."""
    (result,) = results
    ratio = result.paired(_OURS, _HAND, lambda mine, theirs: mine.wall / theirs.wall)
    return [
        "goal: within 5 % of the loop",
        f"ours takes {ratio.median:.2f} times as long as the loop ({ratio.low:.2f}..{ratio.high:.2f})",
    ]
