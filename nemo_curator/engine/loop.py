"""`Loop`: one round after the other, the scheduler decides, workers act, and the books are told.

It is the same for a whole plan that the driver runs, and for the one segment that a custodian runs inside a foreign engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from nemo_curator.engine.claims import Claims
from nemo_curator.engine.envelope import Receipt
from nemo_curator.engine.guard import Guard, Reading, Sentence
from nemo_curator.engine.host import CloseWorker, Command, Event, OpenSegment, ResumeRun, RunBundle
from nemo_curator.engine.instructions import Capacity, Instruction, Open, Resume, Run, Start, Stop
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import Packer
from nemo_curator.engine.plan import ExecutionPlan, Segment, WorkerShape
from nemo_curator.engine.scheduler import Scheduler
from nemo_curator.engine.stall import describe_stall
from nemo_curator.errors import RunStalled

__all__ = ["Books", "Loop", "WorkerPool"]


class WorkerPool(Protocol):
    """Workers, wherever they are. What a backend that we drive has to bring."""

    @property
    def packer(self) -> Packer:
        """How envelopes leave the driver and come back to it."""
        ...

    def start(self, worker: int, shape: WorkerShape, gpus: Sequence[str]) -> None:
        """Start a worker of that number, with these devices of its own; a `WorkerReady` follows."""
        ...

    def send(self, worker: int, command: Command) -> None:
        """Give an idle worker a command; one event follows.

        Where capacity says so, a busy one is given a bundle too, which is to run once another run has finished.
        """
        ...

    def wait(self, timeout_s: float) -> None:
        """Block until there is an event to collect, or so long. A signal may end it with an exception; nothing is lost by that."""
        ...

    def collect(self) -> list[Event]:
        """Return what happened since the last call; nothing if nothing did. Does not block."""
        ...

    def look(self) -> list[Reading]:
        """Return what can be seen of every worker from outside, but for what it is busy with."""
        ...

    def kill(self, sentence: Sentence) -> None:
        """Kill a worker; a `WorkerVanished` with that reason follows. Where that is impossible, note it once and go on."""
        ...

    def stacks(self) -> dict[int, str]:
        """Return the Python stack of every worker, as far as they can be had within a second."""
        ...

    def own_bytes(self) -> int:
        """Return the memory that the driver takes of what the run may use; 0 if that cannot be told."""
        ...

    def close(self, grace_s: float) -> list[str]:
        """End all workers: those that are idle tear down, and whoever is not done in `grace_s` seconds is killed.

        Returns:
            What went wrong, in sentences.
        """
        ...


class Books(Protocol):
    """Who is told what workers did: a session, or somebody who passes it on to one."""

    def shipped(self, segment: Segment) -> bytes:
        """Return a segment as bytes."""
        ...

    def note(
        self,
        segment: Segment,
        counts: Sequence[StageCounts],
        receipts: Iterable[Receipt] = (),
        deliveries: Iterable[tuple[str, Claims]] = (),
        *,
        undone: Sequence[StageCounts] = (),
        queued: Sequence[int] = (),
    ) -> None:
        """Enter what a worker did, see `Session.note`."""
        ...

    def lost_worker(self, sentence: str) -> None:
        """Note that a worker died with something to do."""
        ...

    def saw_memory(self, readings: Iterable[Reading]) -> None:
        """Note how much memory workers have."""
        ...

    def stalled(self, text: str) -> None:
        """Note, and say, that nothing moves."""
        ...


class Loop:
    """The rounds of a run.

    Args:
        plan: The pipeline's plan, for names of stages and their limits.
        segments: What is run here, numbered from 0: all segments of the plan, or one of them.
        options: The run's options.
        pool: The workers.
        capacity: What they may use.
        books: Who is told.
        last: The pipeline's outputs leave the last of the segments.
    """

    def __init__(
        self,
        plan: ExecutionPlan,
        segments: Sequence[Segment],
        options: RunOptions,
        pool: WorkerPool,
        capacity: Capacity,
        books: Books,
        *,
        last: bool = True,
    ) -> None:
        self.scheduler = Scheduler(segments, capacity, options)
        self._plan = plan
        self._segments = segments
        self._options = options
        self._pool = pool
        self._books = books
        self._last = last
        self._guard = Guard(plan, options, capacity.memory_bytes, time.perf_counter())

    @property
    def round_s(self) -> float:
        """The longest that may be waited for events before somebody has to look."""
        return self._guard.round_s

    def begin(self) -> None:
        """Say that there is something to do again: from now on nothing moving means something."""
        self._guard.moved(time.perf_counter())

    def act(self) -> bool:
        """Carry out what the scheduler wants now; say whether it wanted anything."""
        acted = False
        for instruction in self.scheduler.decide():
            self._carry_out(instruction)
            acted = True
        return acted

    def take_note(self) -> None:
        """Read what happened, tell the books, and look after the workers if it is time."""
        scheduler, books = self.scheduler, self._books
        for event in self._pool.collect():
            for news in scheduler.handle(event):
                books.note(
                    news.segment,
                    news.counts,
                    news.receipts,
                    news.deliveries,
                    undone=news.undone,
                    queued=scheduler.queued(),
                )
                if news.warning:
                    books.lost_worker(news.warning)
            self._guard.moved(time.perf_counter())
        now = time.perf_counter()
        if self._guard.due(now):
            self._look(now)

    def _look(self, now: float) -> None:
        scheduler, guard = self.scheduler, self._guard
        readings = [
            Reading(seen.worker, scheduler.working_on(seen.worker), seen.where, seen.private_bytes)
            for seen in self._pool.look()
        ]
        self._books.saw_memory(readings)
        waiting = sum(scheduler.queued_bytes())
        for sentence in guard.judge(now, readings, self._pool.own_bytes() + waiting):
            # By the time that it gets there, the worker may be on another.
            self._pool.kill(replace(sentence, run=scheduler.run_of(sentence.worker)))
        seconds = guard.stalled(now)
        if seconds:
            text = describe_stall(seconds, self._plan, scheduler, readings, self._pool.stacks(), now)
            self._books.stalled(text)
            if self._options.on_stall == "abort":
                raise RunStalled(text)

    def _carry_out(self, instruction: Instruction) -> None:
        pool = self._pool
        match instruction:
            case Start(worker, shape, gpus):
                pool.start(worker, shape, gpus)
            case Stop(worker):
                pool.send(worker, CloseWorker())
            case Open(worker, index, prepare_node):
                last = self._last and index + 1 == len(self._segments)
                shipped = self._books.shipped(self._segments[index])
                pool.send(worker, OpenSegment(index, shipped, prepare_node, last))
            case Run(worker, run, index, bundle, careful, after):
                pool.send(worker, RunBundle(run, index, bundle, careful, after))
            case Resume(worker, run):
                pool.send(worker, ResumeRun(run))
