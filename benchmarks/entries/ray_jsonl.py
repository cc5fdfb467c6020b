"""500 MB of JSON Lines through a Python function per document on Ray, against NeMo Curator 1.4.0 and our own local engine.

Why: it is what most text pipelines do most of the time; an engine on a cluster should cost no more than the start of its workers.
The same program runs with either distribution: the reader, the filter and the writer of that distribution, a file a task, options
as they come. Environments and clusters are those of `ray_small_tasks`; so is the share of 0.2 CPUs that every stage asks for
on NeMo Curator's `XennaExecutor`. One small file through the same program is taken for the start-up of an engine. All keep
the same documents, counted and compared by content.
Goal: within 1.15 times our `LocalExecutor`, plus start-up.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.corpus import OUT, describe_folder, make_corpus
from benchmarks.harness import Case, CaseResult, Column, Scale
from benchmarks.ray_contestants import (
    ENGINES,
    LOCAL,
    OURS,
    local_contestant,
    name_of,
    pairs,
    ray_contestants,
    times_as_long,
    with_and_without,
)

__all__ = ["cases", "conclude"]

_RESULTS = OUT / "ray-jsonl"


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return a case for a small file and for the corpus, with a cluster and without. Makes corpora and environments, once."""
    sizes = ((1, 1), scale.pick((500, 32), (16, 8), (1, 2)))
    return tuple(
        _case(scale, *size, up=up, start_up=size == sizes[0]) for up in with_and_without(scale) for size in sizes
    )


def _case(scale: Scale, megabytes: int, files: int, *, up: bool, start_up: bool) -> Case:
    corpus = make_corpus(megabytes, files)
    return Case(
        title=f"{megabytes} MB of JSON Lines in {files} file{'s' * (files > 1)}, {'cluster up' if up else 'no cluster'}",
        contestants=(
            local_contestant(scale, "ray_jsonl", corpus, _output(LOCAL), **_hooks(LOCAL)),
            *ray_contestants(scale, "ray_jsonl", lambda name: (corpus, _output(name)), up=up, hooks=_hooks),
        ),
        repeats=scale.pick(3, 1, 1),
        warm_up=scale is Scale.FULL and start_up and up,
        same=("documents", "content"),
        columns=(Column("MB/s", lambda sample: megabytes / sample.wall),),
    )


def _output(name: str) -> Path:
    return _RESULTS / name.replace(", ", "-").replace(" ", "-")


def _hooks(name: str) -> dict[str, Any]:
    output = _output(name)

    def empty() -> None:
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        # Nobody shall wait for what the one before has left to be written to the disk.
        os.sync()

    @cache
    def content() -> dict[str, Any]:
        return describe_folder(output)

    return {"prepare": empty, "inspect": content}


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Set each engine beside our local one, less start-up, and beside the same one there."""
    sentences: list[str] = []
    for small, large in zip(results[::2], results[1::2], strict=True):
        for engine, name in ENGINES.items():
            ours = name_of(engine, OURS)
            if ours not in small.samples or ours not in large.samples:
                continue
            start_up = small.median(ours)
            ratio = large.paired(ours, LOCAL, lambda mine, local, less=start_up: (mine.wall - less) / local.wall)
            sentences.append(
                f"{large.case.title}: ours on {name}, without its start-up of {start_up:.1f} s, takes {ratio.median:.2f} times as "
                f"long as LocalExecutor ({ratio.low:.2f}..{ratio.high:.2f}); goal: within 1.15 times"
            )
    for result in results:
        for engine, ours, theirs in pairs(result):
            sentences.append(f"{result.case.title}: {times_as_long(result, engine, theirs, ours)}")
    return sentences
