"""A worker process that has its next bundle with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemo_curator.backends.workers.pool import ProcessPool
from nemo_curator.engine.compile import compile_plan
from nemo_curator.engine.envelope import Envelope
from nemo_curator.engine.guard import Sentence
from nemo_curator.engine.host import Event, OpenSegment, Progressed, RunBundle, WorkerReady, WorkerVanished
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import Slice
from nemo_curator.engine.plan import WorkerShape
from nemo_curator.engine.shipping import ship
from nemo_curator.engine.verdict import Death
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.testing import Number


class Gated(ProcessingStage[Number, Number]):
    """Waits for a file of its number before it returns."""

    name = "gated"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def process(self, task: Number) -> Number:
        with (self.folder / str(task.data)).open("rb") as gate:
            gate.read()
        return task


@pytest.fixture
def gates(tmp_path: Path) -> Path:
    for number in range(3):
        os.mkfifo(tmp_path / str(number))
    return tmp_path


@pytest.fixture
def pool(gates: Path) -> Iterator[ProcessPool]:
    pool = ProcessPool(RunOptions())
    pool.start(0, WorkerShape(), ())
    assert isinstance(_next(pool), WorkerReady)
    segment = compile_plan([Gated(gates)], first_task=Number("n", 0)).segments[0]
    pool.send(0, OpenSegment(0, ship(segment), prepare_node=True, last=False))
    _next(pool)
    yield pool
    assert pool.close(5.0) == []


def _next(pool: ProcessPool) -> Event:
    while True:
        pool.wait(30.0)
        events = pool.collect()
        if events:
            (event,) = events
            return event


def _bundle(pool: ProcessPool, number: int, after: int | None = None) -> RunBundle:
    frame = pool.packer.pack([Envelope(id=str(number), task=Number("n", number), claims=())])
    return RunBundle(number, 0, (Slice.whole(frame),), after=after)


def _pass(gates: Path, number: int) -> None:
    (gates / str(number)).write_bytes(b"")


def _finished(event: Event) -> int:
    assert isinstance(event, Progressed)
    assert event.finished
    return event.run


def test_it_starts_on_the_next_by_itself_and_in_order(pool: ProcessPool, gates: Path) -> None:
    pool.send(0, _bundle(pool, 0))
    pool.send(0, _bundle(pool, 1, after=0))
    for number in (0, 1):
        _pass(gates, number)
        assert _finished(_next(pool)) == number
    # The run that it was to follow has ended by now, so it starts at once.
    pool.send(0, _bundle(pool, 2, after=1))
    _pass(gates, 2)
    assert _finished(_next(pool)) == 2


def test_a_sentence_is_for_the_run_that_it_names(pool: ProcessPool, gates: Path) -> None:
    pool.send(0, _bundle(pool, 0))
    pool.send(0, _bundle(pool, 1, after=0))
    _pass(gates, 0)
    assert _finished(_next(pool)) == 0
    pool.kill(Sentence(0, Death.TIMED_OUT, "took too long", run=0))
    _pass(gates, 1)
    assert _finished(_next(pool)) == 1
    pool.send(0, _bundle(pool, 2))
    pool.kill(Sentence(0, Death.TIMED_OUT, "took too long", run=2))
    event = _next(pool)
    assert isinstance(event, WorkerVanished)
    assert event.death is Death.TIMED_OUT


def test_what_waits_is_not_begun_when_the_pool_closes(gates: Path) -> None:
    pool = ProcessPool(RunOptions())
    pool.start(0, WorkerShape(), ())
    _next(pool)
    segment = compile_plan([Gated(gates)], first_task=Number("n", 0)).segments[0]
    pool.send(0, OpenSegment(0, ship(segment), prepare_node=True, last=False))
    _next(pool)
    pool.send(0, _bundle(pool, 0))
    pool.send(0, _bundle(pool, 1, after=0))
    _pass(gates, 0)
    assert pool.close(20.0) == []
