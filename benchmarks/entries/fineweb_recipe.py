"""The rules of FineWeb on JSON Lines, with two workers: read, apply Gopher's, C4's and FineWeb's rules, write.

Why: heuristics are most of the work in making a corpus from the web, and their cost is that of cutting texts into words and counting
n-grams. Ours apply all rules in one pass over words and lines that are worked out once.
Against: datatrove, which FineWeb was made with, with its own filters of the same names and limits, reader, writer and
`LocalPipelineExecutor`. Both read the same files. They keep nearly but not exactly the same documents: datatrove cuts words with a
tokenizer that takes punctuation apart, see ``benchmarks/agreement.py``; how many each keeps is shown. Language identification is left out
on both sides. The corpus is the examples' without its tags, in many languages, so that many documents are dropped early by both.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.corpus import OUT, make_corpus
from benchmarks.environments import Unavailable, python_with
from benchmarks.harness import Case, CaseResult, Column, Contestant, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude"]

_WORKERS = 2
_RESULTS = OUT / "fineweb_recipe"
_OURS = "LocalExecutor"
_DATATROVE = "datatrove"


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return one case. Makes the corpus and datatrove's environment, the first time."""
    megabytes, files = scale.pick((64, 8), (8, 4), (1, 2))
    corpus = make_corpus(megabytes, files)
    contestants = [_contestant(_OURS, lambda out: program("fineweb_pipeline", _WORKERS, corpus, out))]
    if scale is not Scale.TINY:
        contestants.append(_datatrove(corpus))
    return (
        Case(
            title=f"{megabytes} MB of JSON Lines in {files} files, the rules of FineWeb, {_WORKERS} workers",
            contestants=tuple(contestants),
            repeats=scale.pick(5, 2, 2),
            same=("read",),
            columns=(
                Column("MB/s", lambda sample: megabytes / sample.wall),
                Column("kept", lambda sample: float(sample.facts["kept"]), digits=0),
            ),
        ),
    )


def _datatrove(corpus: Path) -> Contestant:
    try:
        # The others are what its filters import without asking for them.
        python = python_with("datatrove-text", "datatrove", "orjson", "regex", "nltk", "spacy")
    except Unavailable as why:
        return _contestant(_DATATROVE, lambda _: (), skipped=str(why))
    start = partial(program, "fineweb_datatrove", _WORKERS, corpus)
    return _contestant(_DATATROVE, lambda out: start(out, _logs(_DATATROVE), python=python))


def _contestant(name: str, command: Callable[[Path], tuple[str, ...]], skipped: str = "") -> Contestant:
    output = _RESULTS / name

    def empty() -> None:
        shutil.rmtree(output, ignore_errors=True)
        shutil.rmtree(_logs(name), ignore_errors=True)
        output.mkdir(parents=True)
        # Nobody shall wait for what the one before has left to be written to the disk.
        os.sync()

    return Contestant(name=name, command=command(output), prepare=empty, skipped=skipped)


def _logs(name: str) -> Path:
    return _RESULTS / f"{name}-logs"


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Compare with datatrove."""
    (result,) = results
    if _DATATROVE not in result.samples:
        return []
    ratio = result.paired(_OURS, _DATATROVE, lambda mine, theirs: mine.wall / theirs.wall)
    kept = {name: samples[0].facts["kept"] for name, samples in result.samples.items()}
    return [
        f"ours takes {ratio.median:.2f} times as long as datatrove ({ratio.low:.2f}..{ratio.high:.2f})",
        f"of {result.samples[_OURS][0].facts['read']} documents ours keeps {kept[_OURS]}, datatrove {kept[_DATATROVE]}",
    ]
