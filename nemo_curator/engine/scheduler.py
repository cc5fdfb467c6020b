"""Which worker does what next. Pure: events in, instructions out; no clock, no I/O, no threads.

Workers are hosts, not stages: any worker of a shape can run any segment of that shape. A free worker takes the bundle nearest
to the end of the pipeline, so that it drains before it fills. A segment whose outputs wait in too great a number is held back,
which in the end holds back the source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from nemo_curator.engine.host import Closed, Event, Opened, Progressed, WorkerReady, WorkerVanished
from nemo_curator.engine.lane import Job, Lane
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import Frame, Slice
from nemo_curator.engine.plan import Segment, WorkerShape
from nemo_curator.engine.roster import Roster, Worker
from nemo_curator.errors import WorkerLost

__all__ = ["Capacity", "Instruction", "Open", "Resume", "Run", "Scheduler", "Start", "Stop"]

_FEED_COUNT = 4096
_EDGE_COUNT = 16384
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a run may use.

    Attributes:
        workers: Workers that may be busy at a time.
        cpus: CPUs that busy workers may take together.
        gpus: GPUs, likewise.
        nodes: Machines that all this is on.
    """

    workers: int
    cpus: float
    gpus: float = 0.0
    nodes: int = 1


@dataclass(frozen=True, slots=True)
class Start:
    """Start a worker."""

    worker: int
    shape: WorkerShape


@dataclass(frozen=True, slots=True)
class Stop:
    """Let a worker that has nothing more to do tear down and end."""

    worker: int


@dataclass(frozen=True, slots=True)
class Open:
    """Let a worker set a segment up."""

    worker: int
    segment: int
    prepare_node: bool


@dataclass(frozen=True, slots=True)
class Run:
    """Let a worker run a bundle."""

    worker: int
    run: int
    segment: int
    bundle: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Resume:
    """Let a worker go on with a run that rests."""

    worker: int
    run: int


Instruction = Start | Stop | Open | Run | Resume


@dataclass(slots=True)
class _Free:
    """What is left to be given away in one round of decisions."""

    workers: int
    cpus: float
    gpus: float

    def fits(self, segment: Segment) -> bool:
        """Whether a bundle of the segment can run besides what runs."""
        return self.workers >= 1 and self.cpus + _EPSILON >= segment.cpus and self.gpus + _EPSILON >= segment.shape.gpus

    def give(self, segment: Segment) -> None:
        """Take away what the segment needs."""
        self.workers -= 1
        self.cpus -= segment.cpus
        self.gpus -= segment.shape.gpus


class Scheduler:
    """Decides. Feed it, tell it every event, and carry out what `decide` yields, in order.

    Args:
        segments: The plan's.
        capacity: What the run may use.
        options: How it shall behave.
    """

    def __init__(self, segments: Sequence[Segment], capacity: Capacity, options: RunOptions) -> None:
        self._capacity = capacity
        self._options = options
        self._lanes = [Lane(segment, options, capacity.workers, capacity.nodes) for segment in segments]
        self._roster = Roster()
        self._jobs: dict[int, tuple[Lane, Job, int]] = {}
        self._numbers = iter(range(1 << 62))
        self._outputs: list[Frame] = []
        self._stillborn = 0

    # What the driver gives and asks

    @property
    def wants_input(self) -> bool:
        """Whether more of the tasks that the run starts from should be fed now."""
        edge = self._lanes[0].edge
        if edge.ended:
            return False
        return (
            edge.barrier or not edge.ready or (edge.nbytes < self._options.edge_bytes // 4 and edge.count < _FEED_COUNT)
        )

    @property
    def finished(self) -> bool:
        """Whether every segment has ended."""
        return self._lanes[-1].ended

    @property
    def stuck(self) -> bool:
        """Whether nothing is under way although the run is not finished: a fault of the scheduler."""
        return not self.finished and self._roster.quiet

    def feed(self, frames: Iterable[Frame]) -> None:
        """Give tasks that the run starts from."""
        self._lanes[0].edge.put(frames)

    def end_input(self) -> None:
        """Say that there are no more of them."""
        self._lanes[0].edge.ended = True
        self._spread_ends()

    def take_outputs(self) -> list[Frame]:
        """Return what left the last segment since the last call."""
        taken, self._outputs = self._outputs, []
        return taken

    def segment_of(self, run: int) -> Segment:
        """Return the segment of a run that is not finished."""
        return self._jobs[run][0].segment

    def queued(self) -> list[int]:
        """Return the number of tasks that wait in front of each segment."""
        return [lane.edge.count for lane in self._lanes]

    # Events

    def handle(self, event: Event) -> None:
        """Take note of an event.

        Raises:
            WorkerLost: A bundle has lost its worker too often, or cannot be done again.
        """
        match event:
            case WorkerReady():
                self._roster.started(event.worker)
            case Opened():
                self._opened(event)
            case Progressed():
                self._progressed(event)
            case Closed():
                self._roster.remove(event.worker)
            case WorkerVanished():
                self._vanished(event)

    def _opened(self, event: Opened) -> None:
        lane = self._lanes[event.segment]
        lane.node_ready, lane.node_preparing = True, False
        lane.opening -= 1
        worker = self._roster[event.worker]
        worker.hosts.add(event.segment)
        self._roster.release(worker)

    def _progressed(self, event: Progressed) -> None:
        lane, job, number = self._jobs[event.run]
        worker = self._roster[number]
        job.seconds += event.seconds
        job.untouched = False
        if event.finished:
            del self._jobs[event.run]
        else:
            self._roster.rest(worker, lane.segment.index, event.run)
        self._roster.release(worker)
        frames = lane.hand_on(job, list(event.frames), finished=event.finished)
        following = lane.segment.index + 1
        if following < len(self._lanes):
            self._lanes[following].edge.put(frames)
        else:
            self._outputs += frames
        if event.finished:
            self._spread_ends()

    def _vanished(self, event: WorkerVanished) -> None:
        """Let the bundles of a worker that died be done again, as long as nothing that they made was handed on."""
        worker = self._roster.remove(event.worker)
        if worker is None:
            return
        if not worker.started:
            self._stillborn += 1
            self._bear(self._stillborn, f"a worker {event.how} before it could take a command")
        for index in worker.hosts:
            self._lanes[index].hosts -= 1
        if worker.busy_with is not None and worker.busy_with.index not in worker.hosts:
            lane = self._lanes[worker.busy_with.index]
            lane.hosts -= 1
            lane.opening -= 1
            lane.node_preparing = False
            lane.setup_deaths += 1
            self._bear(lane.setup_deaths, f"a worker {event.how} while it set up segment {lane.segment.name!r}")
        for run in [run for run, (_, _, number) in self._jobs.items() if number == event.worker]:
            lane, job, _ = self._jobs.pop(run)
            lane.give_back(job)
            doing = f"a worker {event.how} while it ran {job.count} tasks through segment {lane.segment.name!r}"
            self._bear(job.deaths if job.untouched else self._options.max_worker_deaths + 1, doing, attempt=job.deaths)

    def _bear(self, deaths: int, what: str, attempt: int | None = None) -> None:
        """Raise `WorkerLost` if this was one death too many."""
        if deaths > self._options.max_worker_deaths:
            message = (
                f"{what} (attempt {attempt or deaths}); look for a crash in native code or too little memory there, "
                "and at what the worker wrote to standard error"
            )
            raise WorkerLost(message)

    def _spread_ends(self) -> None:
        for lane, following in zip(self._lanes, self._lanes[1:], strict=False):
            following.edge.ended = following.edge.ended or lane.ended

    # Decisions

    def decide(self) -> Iterator[Instruction]:
        """Yield what is to be done now, nearest to the end of the pipeline first."""
        roster = self._roster
        free = _Free(
            self._capacity.workers - roster.busy, self._capacity.cpus - roster.cpus, self._capacity.gpus - roster.gpus
        )
        pending = roster.starting()
        for lane in reversed(self._lanes):
            if not self._has_room(lane):
                continue
            while self._has_work(lane):
                if not free.fits(lane.segment):
                    # Nothing that is less urgent may take what this one waits for.
                    return
                instruction = self._employ(lane)
                if instruction is None:
                    break
                free.give(lane.segment)
                yield instruction
            yield from self._hire(lane, pending)
        yield from self._dismiss()

    def _has_room(self, lane: Lane) -> bool:
        """Whether what this segment makes has a place to wait in."""
        if lane.segment.index + 1 == len(self._lanes):
            return True
        edge = self._lanes[lane.segment.index + 1].edge
        # A barrier needs everything, and a batch that is not complete cannot be taken: neither can be waited for.
        if edge.barrier or not edge.ready:
            return True
        return edge.nbytes < self._options.edge_bytes and edge.count < max(_EDGE_COUNT, 4 * edge.batch_size)

    def _has_work(self, lane: Lane) -> bool:
        return lane.ready or self._rested(lane) is not None

    def _rested(self, lane: Lane) -> Worker | None:
        """Return an idle worker with a run of this segment that may go on."""
        index = lane.segment.index
        for worker in self._roster.idle_resting(index):
            if lane.may_go_on(self._jobs[worker.resting[index]][1]):
                return worker
        return None

    def _employ(self, lane: Lane) -> Instruction | None:
        """Return what an idle worker shall do for this segment; nothing if none can help."""
        segment = lane.segment
        worker = self._rested(lane)
        if worker is not None:
            self._roster.occupy(worker, segment)
            return Resume(worker.number, self._roster.wake(worker, segment.index))
        if not lane.ready:
            return None
        worker = self._roster.idle_host(segment.index)
        if worker is not None:
            self._roster.occupy(worker, segment)
            job, run = lane.take(), next(self._numbers)
            self._jobs[run] = (lane, job, worker.number)
            return Run(worker.number, run, segment.index, job.bundle)
        if lane.hosts >= lane.max_hosts or lane.node_preparing:
            return None
        worker = self._roster.idle_newcomer(segment.shape, segment.index)
        return None if worker is None else self._open(lane, worker)

    def _open(self, lane: Lane, worker: Worker) -> Open:
        self._roster.occupy(worker, lane.segment)
        prepare = not lane.node_ready
        lane.node_preparing = prepare
        lane.hosts += 1
        lane.opening += 1
        return Open(worker.number, lane.segment.index, prepare)

    def _hire(self, lane: Lane, pending: Counter[WorkerShape]) -> Iterator[Start]:
        """Start workers for bundles that nobody is there for, as long as there may be more of this shape."""
        shape = lane.segment.shape
        most = self._capacity.workers
        for has, needs in ((self._capacity.cpus, lane.segment.cpus), (self._capacity.gpus, shape.gpus)):
            most = min(most, int((has + _EPSILON) / needs)) if needs else most
        # Bundles that a worker is being started or set up for need no other.
        demand = max(lane.demand - lane.opening, 0)
        wanted = min(demand, lane.max_hosts - lane.hosts) - pending[shape]
        pending[shape] = max(pending[shape] - demand, 0)
        for _ in range(min(wanted, most - self._roster.count(shape))):
            number = next(self._numbers)
            self._roster.add(number, shape)
            yield Start(number, shape)

    def _dismiss(self) -> Iterator[Stop]:
        """Let go of workers that no segment will need any more."""
        if self.finished:
            return
        needed = {lane.segment.shape for lane in self._lanes if not lane.ended}
        for worker in self._roster.idle_of_other(needed):
            self._roster.dismiss(worker)
            yield Stop(worker.number)
