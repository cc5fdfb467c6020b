"""A simulated cluster for the scheduler: workers that are numbers, time that is a heap."""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, field

from nemo_curator.engine.beacon import Where
from nemo_curator.engine.compile import compile_plan
from nemo_curator.engine.envelope import Outcome, Receipt
from nemo_curator.engine.host import Closed, Event, Opened, Progressed, WorkerReady, WorkerVanished
from nemo_curator.engine.instructions import Capacity, News, Open, Resume, Run, Start, Stop
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import Frame
from nemo_curator.engine.plan import Segment
from nemo_curator.engine.scheduler import Scheduler
from nemo_curator.engine.verdict import Careful
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.testing import Number


class Timed(ProcessingStage[Number, Number]):
    """A stage of which only the numbers matter."""

    def __init__(
        self, name: str, *, seconds: float, cpus: float = 1.0, batch_size: int = 1, workers: int | None = None
    ) -> None:
        self.name, self.seconds, self.batch_size, self._workers = name, seconds, batch_size, workers
        self.resources = Resources(cpus=cpus)

    def num_workers(self) -> int | None:
        return self._workers

    def process(self, task: Number) -> Number:
        return task


def segments_of(*stages: ProcessingStage) -> tuple[Segment, ...]:
    return compile_plan(stages, first_task=Number("n", 0), fuse_stages=False).segments


@dataclass
class Execution:
    """A run in a pretended worker: how far it is, and what it has to hand on."""

    worker: int
    segment: int
    values: list[int]
    careful: Careful | None
    position: int = 0
    offset: int = 0


@dataclass
class Simulation:
    """Runs a scheduler against pretended workers and watches its promises.

    Attributes:
        death_rate: Chance that a worker dies for no reason while it works on a step.
        blind: Nobody sees what a worker that dies was doing.
        poison: Numbers that kill whoever works on them, by the segment in which they do.
        pieces: Steps in which a bundle is handed on.
        fan_out: Children of every number in the first segment, made one by one: half of them may be handed on before the rest.
    """

    segments: tuple[Segment, ...]
    capacity: Capacity
    options: RunOptions = field(default_factory=RunOptions)
    seed: int = 0
    death_rate: float = 0.0
    blind: bool = False
    poison: dict[int, int] = field(default_factory=dict)
    pieces: int = 1
    fan_out: int = 1
    nbytes_per_task: int = 100

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.scheduler = Scheduler(self.segments, self.capacity, self.options)
        self.clock = 0.0
        self.tickets = itertools.count()
        self.heap: list[tuple[float, int, Event]] = []
        self.busy: dict[int, int] = {}
        self.opened: dict[int, set[int]] = {}
        self.runs: dict[int, Execution] = {}
        self.failed: list[tuple[int, int]] = []
        self.killed: dict[int, int] = {}
        self.entered: list[StageCounts] = [StageCounts() for _ in self.segments]
        self.following: dict[int, int] = {}
        self.given_ahead = 0
        self.lent = 0
        self.started = 0
        self.prepared: list[int] = []
        self.order: list[tuple[int, list[int]]] = []
        self.most_queued = [0] * len(self.segments)
        self.outputs: list[int] = []
        self.busy_seconds = 0.0
        self.cpus = 0.0

    def run(self, count: int) -> None:
        """Feed so many tasks and run to the end."""
        feed = iter(range(count))
        while True:
            while self.scheduler.wants_input:
                value = next(feed, None)
                if value is None:
                    self.scheduler.end_input()
                else:
                    self.scheduler.feed([Frame(1, self.nbytes_per_task, [value])])
            acted = False
            for instruction in self.scheduler.decide():
                acted = True
                self._carry_out(instruction)
            self.most_queued = [max(pair) for pair in zip(self.most_queued, self.scheduler.queued(), strict=True)]
            for piece in self.scheduler.take_outputs():
                self.outputs += piece.frame.payload[piece.start : piece.stop]
            if self.scheduler.finished:
                return
            assert acted or not self.scheduler.stuck, "nothing is under way"
            self.clock, _, event = heapq.heappop(self.heap)
            self._before(event)
            for news in self.scheduler.handle(event):
                self._enter(news)

    def _carry_out(self, instruction: object) -> None:
        match instruction:
            case Start(worker, _, _):
                self.started += 1
                self.opened[worker] = set()
                self._after(0.1, WorkerReady(worker))
            case Stop(worker):
                assert worker not in self.busy
                self._after(0.01, Closed(worker, ()))
            case Open(worker, segment, prepare):
                self._occupy(worker, segment)
                assert segment not in self.opened[worker], "set up twice in one worker"
                self.opened[worker].add(segment)
                if prepare:
                    self.prepared.append(segment)
                else:
                    assert segment in self.prepared, "a worker was set up before its node was prepared"
                self._after(0.05, Opened(worker, segment, ()))
            case Run(worker, run, segment, bundle, careful, after):
                assert segment in self.opened[worker]
                values = [v for piece in bundle for v in piece.frame.payload[piece.start : piece.stop]]
                self.runs[run] = Execution(worker, segment, values, careful)
                if after is not None:
                    assert self.capacity.remote
                    assert self.runs[after].worker == worker
                    assert self.runs[after].segment == segment
                    assert after not in self.following
                    assert careful is None
                    self.following[after] = run
                    self.given_ahead += 1
                    return
                self._occupy(worker, segment)
                self.order.append((segment, values))
                self._step(run)
            case Resume(worker, run):
                assert self.runs[run].worker == worker
                self._occupy(worker, self.runs[run].segment)
                self._step(run)

    def _step(self, run: int) -> None:
        """Work up to the next piece, as a worker would, and let its event come when it is due."""
        now = self.runs[run]
        segment = self.segments[now.segment]
        stage = segment.stages[0].stage
        share = 1 if now.careful else -(-len(now.values) // self.pieces)
        made: list[int] = []
        receipts: list[Receipt] = []
        counts = StageCounts()
        seconds = 0.0
        size = now.careful.size if now.careful else segment.batch_size
        condemned = {int(verdict.task) for verdict in now.careful.verdicts} if now.careful else set()
        steps = 0
        while now.position < len(now.values) and steps < share:
            batch = now.values[now.position : now.position + size]
            seconds += stage.seconds * len(batch)
            deadly = [value for value in batch if self.poison.get(value) == now.segment and value not in condemned]
            if deadly or self.chance.random() < self.death_rate:
                if deadly:
                    self.killed[deadly[0]] = self.killed.get(deadly[0], 0) + 1
                name = str(batch[0]) if now.careful else ""
                where = Where(now.position, now.segment, 1.0, name, len(batch) if name else 0)
                self._after(seconds, WorkerVanished(now.worker, "was killed", where=None if self.blind else where))
                return
            children = [child for value in batch if value not in condemned for child in self._children(now, value)]
            first = now.offset
            if first == 0:
                counts.tasks_in += len(batch)
            for value in batch:
                if value in condemned:
                    receipts.append(Receipt(str(value), (), Outcome.FAILED, stage.name, "WorkerLost"))
                    counts.tasks_failed += 1
            if first == 0 and len(children) > 1 and self.chance.random() < 0.3:
                # Half of them are handed on now, the rest when the run goes on.
                half = len(children) // 2
                made += children[:half]
                counts.tasks_out += half
                now.offset = half
                self._hand_on(run, now, made, receipts, counts, seconds, partial=True)
                return
            made += children[first:]
            counts.tasks_out += len(children) - first
            now.offset = 0
            now.position += len(batch)
            steps += len(batch)
        self._hand_on(run, now, made, receipts, counts, seconds, partial=False)

    def _children(self, now: Execution, value: int) -> list[int]:
        if now.segment or self.fan_out == 1:
            return [value]
        return [value * self.fan_out + slot for slot in range(self.fan_out)]

    def _hand_on(
        self,
        run: int,
        now: Execution,
        made: list[int],
        receipts: list[Receipt],
        counts: StageCounts,
        seconds: float,
        *,
        partial: bool,
    ) -> None:
        frames = (Frame(len(made), self.nbytes_per_task * len(made), made),) if made else ()
        self.busy_seconds += seconds
        finished = not partial and now.position >= len(now.values)
        event = Progressed(
            now.worker, run, frames, (), tuple(receipts), (counts,), finished, seconds, now.position, partial
        )
        self._after(seconds, event)

    def _enter(self, news: News) -> None:
        index = news.segment.index
        for less in news.undone:
            self.entered[index].take_back(less)
        for more in news.counts:
            self.entered[index].add(more)
        self.failed += [(int(receipt.id), index) for receipt in news.receipts]

    def _occupy(self, worker: int, segment: int) -> None:
        assert worker not in self.busy, "two things at once"
        self.busy[worker] = segment
        self.cpus += self.segments[segment].cpus
        beside = len(self.busy) > self.capacity.workers or self.cpus > self.capacity.cpus + 1e-6
        self.lent += beside
        assert self.capacity.remote or not beside
        assert len(self.busy) <= self.capacity.workers + 1
        assert self.cpus <= self.capacity.cpus + max(other.cpus for other in self.segments) + 1e-6
        cap = self.segments[segment].worker_limit(1)
        if cap is not None:
            assert sum(segment in opened or self.busy.get(w) == segment for w, opened in self.opened.items()) <= cap + 1

    def _before(self, event: Event) -> None:
        if isinstance(event, (Opened, Progressed)):
            self.cpus -= self.segments[self.busy.pop(event.worker)].cpus
        if isinstance(event, Progressed) and event.finished and event.run in self.following:
            run = self.following.pop(event.run)
            self._occupy(event.worker, self.runs[run].segment)
            self.order.append((self.runs[run].segment, self.runs[run].values))
            self._step(run)
        if isinstance(event, (WorkerVanished, Closed)):
            if event.worker in self.busy:
                self.cpus -= self.segments[self.busy.pop(event.worker)].cpus
            self.opened.pop(event.worker, None)
            self.following = {
                before: run for before, run in self.following.items() if self.runs[run].worker != event.worker
            }

    def _after(self, seconds: float, event: Event) -> None:
        due = self.clock + seconds * self.chance.uniform(0.5, 1.5)
        heapq.heappush(self.heap, (due, next(self.tickets), event))
