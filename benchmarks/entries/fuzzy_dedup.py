"""Nearly equal texts in JSON Lines of which one document in five has a copy with a tenth of its words changed: 14 bands of 8.

Why: signatures are most of the cost of cleaning a corpus after its rules, and what is missed or taken by mistake is hard to see.
Against: datasketch, the usual library, which works in one process; and datatrove's four steps, with as many workers as ours, once as
they come, with spaCy's words, and once with those of `str.split`. Ours and datasketch compare n-grams of 24 characters, datatrove those of five
words, so they find nearly but not exactly the same; how many each finds is shown. Goals: 20 times faster than datasketch, 10 times faster than
datatrove, twice as fast as that with `str.split`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.corpus import OUT, make_copies
from benchmarks.entries.exact_dedup import emptied
from benchmarks.environments import Unavailable, python_with
from benchmarks.harness import Case, CaseResult, Column, Contestant, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude"]

_WORKERS, _BANDS, _ROWS = 2, 14, 8
_RESULTS = OUT / "fuzzy_dedup"
_OURS, _DATASKETCH = "FuzzyDeduplicationWorkflow", "datasketch, one process"
_DATATROVE = {"spacy": "datatrove", "split": "datatrove with str.split"}


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return one case. Makes the corpus and the others' environments, the first time."""
    megabytes, files = scale.pick((116, 8), (4, 4), (1, 2))
    corpus = make_copies(megabytes, files, edited=0.1)
    contestants = [emptied(_OURS, _RESULTS, lambda out: program("dedup_fuzzy", _WORKERS, _BANDS, _ROWS, corpus, out))]
    if scale is not Scale.TINY:
        contestants += [_datasketch(corpus), *(_datatrove(corpus, words) for words in _DATATROVE)]
    return (
        Case(
            title=f"{megabytes} MB of JSON Lines and a fifth of their documents again, edited; {_BANDS} bands of {_ROWS}, {_WORKERS} workers",
            contestants=tuple(contestants),
            repeats=scale.pick(3, 1, 1),
            warm_up=False,
            columns=(
                Column("MB/s", lambda sample: megabytes / sample.wall),
                Column("found", lambda sample: float(sample.facts["duplicates"]), digits=0),
            ),
        ),
    )


def _datasketch(corpus: Path) -> Contestant:
    def command(python: Path) -> Callable[[Path], tuple[str, ...]]:
        return lambda out: program("dedup_fuzzy_datasketch", _BANDS, _ROWS, corpus, out, python=python)

    return _other(_DATASKETCH, command, "dedup-datasketch", "datasketch")


def _datatrove(corpus: Path, words: str) -> Contestant:
    def command(python: Path) -> Callable[[Path], tuple[str, ...]]:
        return lambda out: program("dedup_fuzzy_datatrove", words, _WORKERS, _BANDS, _ROWS, corpus, out, python=python)

    # The others are what it imports without asking for them; xxhash 4 no longer takes text, which datatrove 0.10 gives it.
    wanted = ("datatrove", "orjson", "regex", "nltk", "spacy", "tokenizers", "xxhash<4")
    return _other(_DATATROVE[words], command, "datatrove-dedup", *wanted)


def _other(
    name: str, command: Callable[[Path], Callable[[Path], tuple[str, ...]]], environment: str, *requirements: str
) -> Contestant:
    try:
        return emptied(name, _RESULTS, command(python_with(environment, *requirements)))
    except Unavailable as why:
        return emptied(name, _RESULTS, lambda _: (), skipped=str(why))


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Compare with the others."""
    (result,) = results
    sentences = []
    for name in (_DATASKETCH, *_DATATROVE.values()):
        if name in result.samples and _OURS in result.samples:
            wall = result.paired(name, _OURS, lambda theirs, mine: theirs.wall / mine.wall)
            cpu = result.paired(name, _OURS, lambda theirs, mine: theirs.cpu / mine.cpu)
            sentences.append(
                f"{name} takes {wall.median:.1f} times as long as ours, and {cpu.median:.1f} times the CPU"
            )
    return sentences
