"""fastText's language model on every document of JSON Lines, in one process: what a stage around a model costs.

Why: language identification stands near the beginning of every text pipeline, so that it sees everything, and its model answers in a
fraction of a millisecond: a framework's cost per document shows here first.
Against: the same model, from the same package, in a loop by hand over the lines of the same files. Both count the documents of every
language; ours also finds texts without letters, and those in which the model knows nothing, which the loop counts as some language.
Start-up, which is most of the small sizes, is in the times. Goal: within 5 % of the loop.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.corpus import make_corpus
from benchmarks.harness import Case, CaseResult, Column, Contestant, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude"]

_HAND = "fastText in a loop"
_OURS = "LocalExecutor"


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return one case. Makes the corpus, the first time."""
    megabytes, files = scale.pick((64, 8), (8, 4), (1, 2))
    corpus = make_corpus(megabytes, files)
    return (
        Case(
            title=f"{megabytes} MB of JSON Lines in {files} files, the language of every document, one process",
            contestants=(
                Contestant(name=_HAND, command=program("langid_loop", corpus)),
                Contestant(name=_OURS, command=program("langid_pipeline", corpus)),
            ),
            repeats=scale.pick(5, 2, 2),
            same=("read",),
            columns=(Column("documents/s", lambda sample: sample.facts["read"] / sample.wall, digits=0),),
        ),
    )


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Compare with the loop."""
    (result,) = results
    ratio = result.paired(_OURS, _HAND, lambda mine, theirs: mine.wall / theirs.wall)
    return [
        "goal: within 5 % of the loop",
        f"ours takes {ratio.median:.2f} times as long as the loop ({ratio.low:.2f}..{ratio.high:.2f})",
    ]
