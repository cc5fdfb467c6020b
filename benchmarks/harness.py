"""Runs alternatives interleaved (A B A B ...) and compares them round by round.

A machine is never as fast in one minute as in the next, so a time alone says little. What two programs need in the same
round of the same run says much more: every result is also given as the ratio to the reference of its round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any, Self, TypeVar

from benchmarks.measure import ROOT, RunFailed, Sample, measure

__all__ = ["Case", "CaseResult", "Column", "Contestant", "Entry", "Scale", "Spread", "run_case"]


T = TypeVar("T")


class Scale(StrEnum):
    """How much work the entries do.

    Attributes:
        FULL: The sizes of the published numbers.
        QUICK: All entries within two minutes, to see that everything works.
        TINY: Seconds; for tests of the harness.
    """

    FULL = "full"
    QUICK = "quick"
    TINY = "tiny"

    def pick(self, full: T, quick: T, tiny: T) -> T:
        """Return the value for this scale."""
        return {Scale.FULL: full, Scale.QUICK: quick, Scale.TINY: tiny}[self]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and extremes of some values."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return the spread of these values."""
        known = list(values)
        return cls(median(known), min(known), max(known))


def _nothing() -> None:
    """Prepare nothing."""


def _no_facts() -> dict[str, Any]:
    return {}


def _no_surroundings() -> AbstractContextManager[Mapping[str, str]]:
    return nullcontext({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One of the alternatives.

    Attributes:
        name: In tables.
        command: What is run and measured.
        folder: Where it is run.
        prepare: Called before every run, outside the measurement.
        around: What is there while a run goes on, outside the measurement; gives variables for the program's environment.
        inspect: Called after every run, outside the measurement; returns further facts, about the output.
        skipped: Why it cannot take part on this machine, if so.
    """

    name: str
    command: tuple[str, ...]
    folder: Path = ROOT
    prepare: Callable[[], None] = _nothing
    around: Callable[[], AbstractContextManager[Mapping[str, str]]] = _no_surroundings
    inspect: Callable[[], dict[str, Any]] = _no_facts
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A further column of a table, computed for every run."""

    title: str
    value: Callable[[Sample], float]
    digits: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Contestants that do the same work.

    Attributes:
        title: Heading of its table.
        contestants: The first is the reference of the ratios, unless it is skipped: then the next.
        repeats: Rounds; each contestant runs once in each.
        warm_up: Run each once before, unmeasured, so that no round pays for cold caches.
        same: Facts that must be equal for all contestants in all rounds; otherwise they did not do the same work.
        columns: Further columns.
    """

    title: str
    contestants: tuple[Contestant, ...]
    repeats: int
    warm_up: bool = True
    same: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()


@dataclass(slots=True)
class CaseResult:
    """What became of a case.

    Attributes:
        case: The case.
        samples: Runs by contestant, in the order of the rounds; only contestants that never failed.
        absent: Why the others are missing.
        failed: Whether one of them is missing because it failed.
        differences: Facts that should be equal and are not, as sentences.
    """

    case: Case
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    failed: bool = False
    differences: list[str] = field(default_factory=list)

    @property
    def reference(self) -> str:
        """Name of the contestant that the ratios refer to."""
        return next(iter(self.samples), "")

    def ratio(self, name: str) -> Spread:
        """Return the wall time as a multiple of the reference's in the same round."""
        return self.paired(name, self.reference, lambda mine, theirs: mine.wall / theirs.wall)

    def paired(self, name: str, other: str, compare: Callable[[Sample, Sample], float]) -> Spread:
        """Return the spread of a comparison of two contestants in the same round."""
        return Spread.of(map(compare, self.samples[name], self.samples[other]))

    def spread(self, name: str, value: Callable[[Sample], float]) -> Spread:
        """Return the spread of a value over the runs of a contestant."""
        return Spread.of(map(value, self.samples[name]))

    def median(self, name: str, value: Callable[[Sample], float] = lambda sample: sample.wall) -> float:
        """Return the median of a value (wall time if not given) over the runs of a contestant."""
        return self.spread(name, value).median


Conclusion = Callable[[Sequence[CaseResult]], Sequence[str]]


def _no_conclusion(_results: Sequence[CaseResult]) -> Sequence[str]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A benchmark: cases, and what they tell together.

    Attributes:
        name: On the command line.
        about: What is measured, why, and against what.
        cases: Its cases.
        conclude: Returns sentences that set the numbers beside the goal. Called only with cases whose contestants all ran.
    """

    name: str
    about: str
    cases: tuple[Case, ...]
    conclude: Conclusion = _no_conclusion


def run_case(case: Case, *, repeats: int | None = None, say: Callable[[str], None] = print) -> CaseResult:
    """Run a case, round by round.

    Args:
        case: The case.
        repeats: Rounds, if not as many as the case says.
        say: Is told what is going on.
    """
    result = CaseResult(case)
    running: dict[str, Contestant] = {}
    for contestant in case.contestants:
        if contestant.skipped:
            result.absent[contestant.name] = contestant.skipped
            say(f"  {contestant.name}: skipped: {contestant.skipped}")
        else:
            running[contestant.name] = contestant
            result.samples[contestant.name] = []
    rounds = repeats or case.repeats
    for number in range(0 if case.warm_up else 1, rounds + 1):
        for name, contestant in list(running.items()):
            try:
                sample = _run(contestant)
            except RunFailed as error:
                del running[name], result.samples[name]
                result.failed = True
                result.absent[name] = f"failed: {str(error).splitlines()[-1]}"
                say(f"  {name}: {error}")
                continue
            if number:
                result.samples[name].append(sample)
            say(f"  {f'round {number}/{rounds}' if number else 'warm-up'}  {name}: {sample.wall:.3f} s")
    result.differences = _differences(case, result.samples)
    return result


def _run(contestant: Contestant) -> Sample:
    contestant.prepare()
    with contestant.around() as variables:
        sample = measure(contestant.command, variables, contestant.folder)
    sample.facts.update(contestant.inspect())
    return sample


def _differences(case: Case, samples: Mapping[str, Sequence[Sample]]) -> list[str]:
    sentences: list[str] = []
    for fact in case.same:
        seen = {name: sorted({str(sample.facts.get(fact)) for sample in runs}) for name, runs in samples.items()}
        if len({value for values in seen.values() for value in values}) > 1:
            told = "; ".join(f"{name}: {', '.join(values)}" for name, values in seen.items())
            sentences.append(f"{fact} differ, so the work was not the same: {told}")
    return sentences
