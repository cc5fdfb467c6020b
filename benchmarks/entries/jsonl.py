"""500 MB of JSON Lines through a Python function per document, with two workers: read, score, filter, write.

Why: it is what most text pipelines do most of the time, and what a framework has to be no slower at than a loop by hand.
The text is real: the corpus of the examples without its tags, copies with their lines in another order. All alternatives
read the same files, keep the same documents (counted and compared by content) and write JSON Lines without compression.
Against: a `multiprocessing.Pool(2)` over files with the standard library's `json`, and again with `orjson`, each line by
line; and datatrove's `LocalPipelineExecutor` with its own reader and writer (which use orjson). What is not installed here
comes into an environment of its own under ``benchmarks/out``. Goal: no slower than the loop by hand.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks.corpus import OUT, describe_folder, make_corpus
from benchmarks.environments import Unavailable, python_with
from benchmarks.harness import Case, CaseResult, Column, Contestant, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude"]

_WORKERS = 2
_RESULTS = OUT / "jsonl"
_HAND = "by hand, json"
_HAND_ORJSON = "by hand, orjson"
_OURS = "LocalExecutor"
_DATATROVE = "datatrove"


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return one case. Makes the corpus and the other environments, the first time."""
    megabytes, files = scale.pick((500, 32), (32, 8), (1, 2))
    corpus = make_corpus(megabytes, files)
    pool = partial(program, "jsonl_pool")
    contestants = [
        _contestant(_HAND, lambda out: pool("json", _WORKERS, corpus, out)),
        _contestant(_OURS, lambda out: program("jsonl_pipeline", _WORKERS, corpus, out)),
    ]
    if scale is not Scale.TINY:
        contestants += [
            _guest(_HAND_ORJSON, ("orjson",), lambda out, python: pool("orjson", _WORKERS, corpus, out, python=python)),
            _guest(
                _DATATROVE,
                # The two others are what its reader and its package of filters import without asking for them.
                ("datatrove", "orjson", "regex"),
                lambda out, python: program("jsonl_datatrove", _WORKERS, corpus, out, _logs(_DATATROVE), python=python),
            ),
        ]
    return (
        Case(
            title=f"{megabytes} MB of JSON Lines in {files} files, a Python function per document, {_WORKERS} workers",
            contestants=tuple(contestants),
            repeats=scale.pick(5, 2, 2),
            same=("read", "kept", "documents", "content"),
            columns=(Column("MB/s", lambda sample: megabytes / sample.wall),),
        ),
    )


def _contestant(name: str, command: Callable[[Path], tuple[str, ...]], skipped: str = "") -> Contestant:
    output = _RESULTS / name.replace(", ", "-").replace(" ", "-")

    def empty() -> None:
        shutil.rmtree(output, ignore_errors=True)
        shutil.rmtree(_logs(name), ignore_errors=True)
        output.mkdir(parents=True)
        # Nobody shall wait for what the one before has left to be written to the disk.
        os.sync()

    @cache
    def content() -> dict[str, Any]:
        return describe_folder(output)

    return Contestant(name=name, command=command(output), prepare=empty, inspect=content, skipped=skipped)


def _guest(name: str, requirements: tuple[str, ...], command: Callable[[Path, Path], tuple[str, ...]]) -> Contestant:
    """Return a contestant that brings an environment of its own; a skipped one where that cannot be made."""
    try:
        python = python_with(requirements[0], *requirements)
    except Unavailable as why:
        return _contestant(name, lambda _: (), skipped=str(why))
    return _contestant(name, lambda output: command(output, python))


def _logs(name: str) -> Path:
    return _RESULTS / f"{name}-logs"


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Compare ours with everybody else."""
    (result,) = results
    others = [name for name in result.samples if name != _OURS]
    sentences = [f"goal: no slower than the loop by hand; {_documents(result)} documents kept by everybody"]
    for name in others:
        ratio = result.paired(_OURS, name, lambda mine, theirs: mine.wall / theirs.wall)
        sentences.append(f"ours takes {ratio.median:.2f} times as long as {name} ({ratio.low:.2f}..{ratio.high:.2f})")
    return sentences


def _documents(result: CaseResult) -> int:
    return result.samples[_OURS][0].facts["documents"]
