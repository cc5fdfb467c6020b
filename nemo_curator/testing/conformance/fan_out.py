"""One task becomes many."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.testing.backend import BackendUnderTest
from nemo_curator.testing.conformance.case import Cases
from nemo_curator.testing.journal import Journal
from nemo_curator.testing.stages import Add, Count, Keep, Repeat, RepeatLazily
from nemo_curator.testing.tasks import Number, numbers

CASES = Cases("fan_out")


@CASES
def a_list_gives_many(backend: BackendUnderTest) -> None:
    assert backend.run(Repeat(2), tasks=numbers(3)).values == [10, 20, 21]


@CASES
def an_iterator_gives_many(backend: BackendUnderTest) -> None:
    assert backend.run(RepeatLazily(2), tasks=numbers(3)).values == [10, 20, 21]


@CASES
def a_tuple_gives_many(backend: BackendUnderTest) -> None:
    assert backend.run(AsTuple(), tasks=numbers(2)).values == [0, 1, 1, 2]


@CASES
def a_source_of_many_thousands(backend: BackendUnderTest) -> None:
    result = backend.run(Count(5000, lazily=True), Keep(10), Add(1))
    assert len(result.outputs) == 4500
    assert sum(result.values) == sum(n + 1 for n in range(5000) if n % 10)


@CASES
def an_iterator_is_consumed_lazily(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    # The last child is made only after the first one has gone on, unless the engine takes all of them together.
    stage = Waiting(journal, patient=backend.make().patient)
    backend.run(stage, Noting(journal), Add(1), tasks=[Number("n", 3)], bundle_seconds=0.001)
    lines = journal.lines()
    assert lines.count("made 399") == 1
    assert "given up" not in lines


@CASES
def iterators_in_two_stages(backend: BackendUnderTest) -> None:
    result = backend.run(RepeatLazily(9), RepeatLazily(9), tasks=numbers(20))
    expected = [
        v * 10 + t
        for n in range(20)
        for s in range(n % 10)
        if s % 3 != 2
        for v in [n * 10 + s]
        for t in range(v % 10)
        if t % 3 != 2
    ]
    assert result.values == sorted(expected)


@CASES
def one_object_yielded_again_and_again(backend: BackendUnderTest) -> None:
    result = backend.run(Reusing(), tasks=[Number("n", 0)])
    assert result.values == [0, 1, 2, 3]
    assert len(set(result.ids)) == 4


@CASES
def an_iterator_that_breaks_keeps_what_it_made(backend: BackendUnderTest) -> None:
    result = backend.run(Breaking(), tasks=numbers(2), on_error="quarantine")
    assert result.values == [0, 0, 1, 1, 2, 2]
    assert result.report.stage("breaking").tasks_failed == 2
    assert result.report.sources_failed + result.report.sources_completed > 0


@CASES
def fan_out_after_fan_out(backend: BackendUnderTest) -> None:
    result = backend.run(Repeat(3), Repeat(3), Repeat(3), tasks=numbers(12))
    assert len(result.outputs) == len(set(result.ids)) > 0
    assert result.report.imbalances() == []


class AsTuple(ProcessingStage[Number, Number]):
    """Returns a tuple."""

    name = "as_tuple"

    def process(self, task: Number) -> tuple[Number, ...]:  # type: ignore[override]
        """Return two."""
        return Number("n", task.data), Number("n", task.data + 1)


class Waiting(ProcessingStage[Number, Number]):
    """Yields many tasks, and the last of them when the first was seen by the next stage."""

    name = "waiting"

    def __init__(self, journal: Journal, *, patient: bool) -> None:
        self.journal, self.patient = journal, patient

    def process(self, task: Number) -> Iterator[Number]:  # type: ignore[override]
        """Yield 400."""
        for n in range(399):
            yield Number("n", n)
        deadline = time.monotonic() + 60
        while not self.patient and not self.journal.count("seen 0"):
            if time.monotonic() > deadline:
                self.journal.note("given up")
                break
            threading.Event().wait(0.01)
        self.journal.note("made 399")
        yield Number("n", 399)


class Noting(ProcessingStage[Number, Number]):
    """Notes what it sees."""

    name = "noting"

    def __init__(self, journal: object) -> None:
        self.journal = journal

    def process(self, task: Number) -> Number:
        """Note the number."""
        self.journal.note("seen", task.data)  # type: ignore[attr-defined]
        return task


class Reusing(ProcessingStage[Number, Number]):
    """Yields one object, changed in between."""

    name = "reusing"

    def process(self, task: Number) -> Iterator[Number]:
        """Yield the task four times."""
        for n in range(4):
            task.data = n
            yield task


class Breaking(ProcessingStage[Number, Number]):
    """Yields three and raises."""

    name = "breaking"

    def process(self, task: Number) -> Iterator[Number]:
        """Raise after the third."""
        for n in range(3):
            yield Number("n", n)
        message = "no fourth"
        raise ValueError(message)
