"""Observers watch; they cannot break a run."""

from __future__ import annotations

import logging

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.engine.hooks import RunEnded, RunEvent, RunStarted
from nemo_curator.errors import StageFailed
from nemo_curator.pipeline import Pipeline
from nemo_curator.testing import numbers, values
from nemo_curator.testing.stages import Add, Scripted


class Watching:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[RunEvent] = []

    def on(self, event: RunEvent) -> None:
        self.events.append(event)


class Broken(Watching):
    """Raises at the first event."""

    def on(self, event: RunEvent) -> None:
        super().on(event)
        message = "no interest"
        raise RuntimeError(message)


def test_an_observer_sees_the_run_begin_advance_and_end() -> None:
    watching = Watching()
    Pipeline("p", stages=[Add(1)]).run(LocalExecutor(mode="inline"), numbers(3), observers=[watching])
    assert isinstance(watching.events[0], RunStarted)
    assert isinstance(watching.events[-1], RunEnded)
    assert watching.events[-1].error is None
    assert len(watching.events) > 2


def test_an_observer_that_raises_is_told_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    broken, watching = Broken(), Watching()
    with caplog.at_level(logging.ERROR):
        outputs = Pipeline("p", stages=[Add(1)]).run(
            LocalExecutor(mode="inline"), numbers(3), observers=[broken, watching]
        )
    assert values(outputs) == [1, 2, 3]
    assert len(broken.events) == 1
    assert isinstance(watching.events[-1], RunEnded)
    assert "is told nothing more" in caplog.text


def test_an_observer_is_told_of_a_failure() -> None:
    watching = Watching()
    with pytest.raises(StageFailed):
        Pipeline("p", stages=[Scripted({0: "raise"})]).run(
            LocalExecutor(mode="inline"), numbers(1), observers=[watching]
        )
    assert isinstance(watching.events[-1], RunEnded)
    assert isinstance(watching.events[-1].error, StageFailed)
