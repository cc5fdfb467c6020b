"""A simulated cluster for the scheduler: workers that are numbers, time that is a heap."""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, field

from nemo_curator.engine.compile import compile_plan
from nemo_curator.engine.host import Closed, Event, Opened, Progressed, WorkerReady, WorkerVanished
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import Frame
from nemo_curator.engine.plan import Segment
from nemo_curator.engine.scheduler import Capacity, Open, Resume, Run, Scheduler, Start, Stop
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
class Simulation:
    """Runs a scheduler against pretended workers and watches its promises."""

    segments: tuple[Segment, ...]
    capacity: Capacity
    options: RunOptions = field(default_factory=RunOptions)
    seed: int = 0
    death_rate: float = 0.0
    pieces: int = 1
    nbytes_per_task: int = 100

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.scheduler = Scheduler(self.segments, self.capacity, self.options)
        self.clock = 0.0
        self.tickets = itertools.count()
        self.heap: list[tuple[float, int, Event]] = []
        self.busy: dict[int, int] = {}
        self.opened: dict[int, set[int]] = {}
        self.runs: dict[int, tuple[int, int, list[int], int]] = {}
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
            for frame in self.scheduler.take_outputs():
                self.outputs += frame.payload
            if self.scheduler.finished:
                return
            assert acted or not self.scheduler.stuck, "nothing is under way"
            self.clock, _, event = heapq.heappop(self.heap)
            self._before(event)
            self.scheduler.handle(event)

    def _carry_out(self, instruction: object) -> None:
        match instruction:
            case Start(worker, _):
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
            case Run(worker, run, segment, bundle):
                self._occupy(worker, segment)
                assert segment in self.opened[worker]
                values = [v for piece in bundle for v in piece.frame.payload[piece.start : piece.stop]]
                self.order.append((segment, values))
                self.runs[run] = (worker, segment, values, self.pieces)
                self._step(run)
            case Resume(worker, run):
                assert self.runs[run][0] == worker
                self._occupy(worker, self.runs[run][1])
                self._step(run)

    def _step(self, run: int) -> None:
        worker, segment, values, left = self.runs[run]
        stage = self.segments[segment].stages[0].stage
        seconds = stage.seconds * len(values) / self.pieces
        if self.chance.random() < self.death_rate and left == self.pieces:
            self._after(seconds / 2, WorkerVanished(worker, "was killed"))
            return
        share = -(-len(values) // left)
        now, rest = values[:share], values[share:]
        self.runs[run] = (worker, segment, rest, left - 1)
        frames = (Frame(len(now), self.nbytes_per_task * len(now), now),) if now else ()
        self.busy_seconds += seconds
        self._after(seconds, Progressed(worker, run, frames, (), (), (), left == 1, seconds))

    def _occupy(self, worker: int, segment: int) -> None:
        assert worker not in self.busy, "two things at once"
        self.busy[worker] = segment
        assert len(self.busy) <= self.capacity.workers
        self.cpus += self.segments[segment].cpus
        assert self.cpus <= self.capacity.cpus + 1e-6
        cap = self.segments[segment].worker_limit(1)
        if cap is not None:
            assert sum(segment in opened or self.busy.get(w) == segment for w, opened in self.opened.items()) <= cap + 1

    def _before(self, event: Event) -> None:
        if isinstance(event, (Opened, Progressed)):
            self.cpus -= self.segments[self.busy.pop(event.worker)].cpus
        if isinstance(event, (WorkerVanished, Closed)):
            if event.worker in self.busy:
                self.cpus -= self.segments[self.busy.pop(event.worker)].cpus
            self.opened.pop(event.worker, None)

    def _after(self, seconds: float, event: Event) -> None:
        due = self.clock + seconds * self.chance.uniform(0.5, 1.5)
        heapq.heappush(self.heap, (due, next(self.tickets), event))
