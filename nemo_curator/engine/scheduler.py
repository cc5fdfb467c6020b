"""Which worker does what next. Pure: events in, instructions out; no clock, no I/O, no threads.

Workers are hosts, not stages: any worker of a shape can run any segment of that shape. A free worker takes the bundle nearest
to the end of the pipeline, so that it drains before it fills. A segment whose outputs wait in too great a number is held back,
which in the end holds back the source.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from nemo_curator.engine.ahead import Ahead
from nemo_curator.engine.host import Closed, Event, Opened, Progressed, Refused, WorkerReady, WorkerVanished
from nemo_curator.engine.inquest import Job, after_death, bear, bear_in_setup, doing_in_words, rest_of
from nemo_curator.engine.instructions import Capacity, Instruction, News, Open, Resume, Run, SegmentState
from nemo_curator.engine.lane import Lane
from nemo_curator.engine.loan import Loan
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import Frame, Slice
from nemo_curator.engine.plan import Segment, WorkerShape
from nemo_curator.engine.roster import Free, Roster, Worker
from nemo_curator.engine.staff import Staff
from nemo_curator.errors import ConservationError

__all__ = ["Scheduler"]

_FEED_COUNT = 4096
_EDGE_COUNT = 16384
_EPSILON = 1e-9


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
        self._staff = Staff(self._roster, capacity, self._numbers)
        self._active: dict[int, int] = {}
        self._ahead = Ahead(enabled=capacity.remote)
        self._loan = Loan(self._lanes, enabled=capacity.remote)
        self._outputs: list[Slice] = []
        self._stillborn = 0
        self.outputs_full = False

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
        self.feed_slices(map(Slice.whole, frames))

    def feed_slices(self, slices: Iterable[Slice]) -> None:
        """Give parts of frames; also after the end of the input was said, where it comes parcel by parcel."""
        self._lanes[0].edge.put(slices)

    def end_input(self) -> None:
        """Say that there are no more of them."""
        self._lanes[0].edge.ended = True
        self._spread_ends()

    def take_outputs(self) -> list[Slice]:
        """Return what left the last segment since the last call."""
        taken, self._outputs = self._outputs, []
        return taken

    def queued(self) -> list[int]:
        """Return the number of tasks that wait in front of each segment."""
        return [lane.edge.count for lane in self._lanes]

    def states(self) -> list[SegmentState]:
        """Return what every segment waits for."""
        return [
            SegmentState(
                lane.segment.name,
                lane.edge.count,
                lane.edge.nbytes,
                lane.active,
                sum(job.count for other, job, _ in self._jobs.values() if other is lane),
                self._why(lane),
            )
            for lane in self._lanes
        ]

    def _why(self, lane: Lane) -> str:
        """Return why no more of a segment is under way, as half a sentence."""
        if lane.ended:
            return "it has ended"
        if not self._has_room(lane):
            return "it is held back, as too much of what it made waits for the next one"
        if lane.preparing_nodes:
            return "its first worker sets up"
        if self._has_work(lane):
            return "it waits for a free worker"
        if lane.active:
            return "it waits for what is under way"
        return "it waits for input"

    def queued_bytes(self) -> list[int]:
        """Return the bytes that wait in front of each segment."""
        return [lane.edge.nbytes for lane in self._lanes]

    def working_on(self, worker: int) -> Segment | None:
        """Return the segment that a worker runs or sets up now."""
        known = self._roster.get(worker)
        return known.busy_with if known else None

    def run_of(self, worker: int) -> int | None:
        """Return the run that a worker works on now."""
        return self._active.get(worker)

    # Events

    def handle(self, event: Event) -> list[News]:
        """Take note of an event; return what the books must be told.

        Raises:
            WorkerLost: Workers die without anybody to blame, or while they start or set a stage up, time and again.
            UnpicklableError: A task cannot be read where it arrived.
        """
        match event:
            case WorkerReady():
                self._roster.started(event.worker, event.node)
            case Opened():
                return [self._opened(event)]
            case Progressed():
                return [self._progressed(event)]
            case Refused():
                raise event.error
            case Closed():
                self._staff.left(event.worker)
            case WorkerVanished():
                return self._vanished(event)
        return []

    def _opened(self, event: Opened) -> News:
        if event.error is not None:
            raise event.error
        lane = self._lanes[event.segment]
        worker = self._roster[event.worker]
        lane.ready_nodes.add(worker.node)
        lane.preparing_nodes.discard(worker.node)
        lane.opening -= 1
        worker.hosts.add(event.segment)
        self._roster.release(worker)
        return News(lane.segment, event.counts)

    def _progressed(self, event: Progressed) -> News:
        lane, job, number = self._jobs[event.run]
        worker = self._roster[number]
        del self._active[number]
        job.seconds += event.seconds
        self._ahead.paused(lane, number)
        self._loan.give_back(number)
        successor = None
        if event.finished:
            del self._jobs[event.run]
            successor = self._ahead.successor(event.run)
        else:
            self._roster.rest(worker, lane.segment.index, event.run)
        if successor is None:
            self._roster.release(worker)
        else:
            self._work_on(lane, worker, successor)
        slices, event = job.admit(event, lane.segment.batch_size)
        lane.worked(event.seconds, len(event.deliveries) or sum(piece.count for piece in slices))
        if event.finished and job.skip:
            message = (
                f"segment {lane.segment.name!r} was run again on the same tasks after a worker had died, and made less of them than "
                "the first time; a stage must make the same of a task each time"
            )
            raise ConservationError(message)
        slices = lane.hand_on(job, slices, finished=event.finished)
        following = lane.segment.index + 1
        if following < len(self._lanes):
            self._lanes[following].edge.put(slices)
        else:
            self._outputs += slices
        if event.finished:
            self._spread_ends()
        return News(lane.segment, event.counts, event.receipts, event.deliveries)

    def _vanished(self, event: WorkerVanished) -> list[News]:
        """Let the bundles of a worker that died be done again, those that it was not working on as if nothing had been."""
        worker = self._staff.left(event.worker)
        if worker is None:
            return []
        if not worker.started:
            self._stillborn += 1
            bear(self._stillborn, self._options.crash_attempts, f"a worker {event.how} before it could take a command")
        for index in worker.hosts:
            self._lanes[index].hosts -= 1
        if worker.busy_with is not None and worker.busy_with.index not in worker.hosts:
            lane = self._lanes[worker.busy_with.index]
            lane.hosts -= 1
            lane.opening -= 1
            if worker.node not in lane.ready_nodes:
                lane.preparing_nodes.discard(worker.node)
            lane.setup_deaths += 1
            bear_in_setup(lane.segment, lane.setup_deaths, event, self._options.crash_attempts)
        news: list[News] = []
        active = self._active.pop(event.worker, None)
        self._loan.give_back(event.worker)
        for run in [run for run, (_, _, number) in self._jobs.items() if number == event.worker]:
            lane, job, _ = self._jobs.pop(run)
            self._ahead.paused(lane, event.worker)
            self._ahead.successor(run)
            news.append(self._again(lane, job, event, guilty=run == active))
        return news

    def _again(self, lane: Lane, job: Job, event: WorkerVanished, *, guilty: bool) -> News:
        if not guilty:
            lane.replace(job, [rest_of(job)])
            return News(lane.segment, undone=tuple(job.debt.counts))
        attempts = self._options.crash_attempts
        segment = lane.segment
        jobs = after_death(job, event, attempts=attempts, batch_size=segment.batch_size, barrier=segment.is_barrier)
        doing = doing_in_words(segment, job, event.where)
        for other in jobs:
            if other.suspicion is not None:
                bear(other.suspicion.unnamed, attempts, f"a worker {event.how} {doing}")
        lane.replace(job, jobs)
        return News(segment, undone=tuple(job.debt.counts), warning=f"worker {event.worker} {event.how} {doing}")

    def _spread_ends(self) -> None:
        for lane, following in zip(self._lanes, self._lanes[1:], strict=False):
            following.edge.ended = following.edge.ended or lane.ended

    # Decisions

    def decide(self) -> Iterator[Instruction]:
        """Yield what is to be done now, nearest to the end of the pipeline first."""
        yield from self._employ_idle()
        for lane, worker, run in self._ahead.chances(self._lanes, self._roster, self._has_room, self._loan):
            yield self._start(lane, worker, after=run)

    def _employ_idle(self) -> Iterator[Instruction]:
        roster = self._roster
        capacity = self._capacity
        memory = math.inf if capacity.memory_bytes is None else capacity.memory_bytes - roster.memory_bytes
        free = Free(capacity.workers - roster.busy, capacity.cpus - roster.cpus, memory)
        pending = roster.starting()
        blocked = False
        for lane in reversed(self._lanes):
            if not self._has_room(lane):
                continue
            while self._has_work(lane):
                # Nothing that is less urgent may take what this one waits for.
                blocked = blocked or not free.fits(lane.segment)
                instruction = self._employ_beside(lane, free) if blocked else self._employ(lane)
                if instruction is None:
                    break
                free.give(lane.segment)
                yield instruction
            if not blocked:
                yield from self._staff.hire(lane, pending, self._needs)
        if not blocked and not self.finished:
            yield from self._staff.dismiss(self._lanes)

    def _employ_beside(self, lane: Lane, free: Free) -> Instruction | None:
        """Return what an idle worker shall do for a segment in the place that is lent; nothing if it may not have that, or none is ready."""
        if not self._loan.offers(lane) or free.memory_bytes < lane.segment.memory_bytes:
            return None
        ready = self._rested(lane) or (lane.ready and self._roster.idle_host(lane.segment.index))
        if not ready:
            return None
        self._loan.take(ready.number)
        return self._employ(lane)

    def _has_room(self, lane: Lane) -> bool:
        """Whether what this segment makes has a place to wait in."""
        if lane.segment.index + 1 == len(self._lanes):
            return not self.outputs_full
        edge = self._lanes[lane.segment.index + 1].edge
        # A barrier needs everything, and a batch that is not complete cannot be taken: neither can be waited for.
        if edge.barrier or not edge.ready:
            return True
        return edge.nbytes < self._options.edge_bytes and edge.count < max(_EDGE_COUNT, 4 * edge.batch_size)

    def _has_work(self, lane: Lane) -> bool:
        return lane.ready or self._rested(lane) is not None

    def _needs(self, shape: WorkerShape) -> bool:
        return any(
            lane.segment.shape == shape and self._has_work(lane) and self._has_room(lane) for lane in self._lanes
        )

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
            run = self._roster.wake(worker, segment.index)
            self._work_on(lane, worker, run)
            return Resume(worker.number, run)
        if not lane.ready:
            return None
        worker = self._roster.idle_host(segment.index, lane.edge.node)
        if worker is not None:
            self._roster.occupy(worker, segment)
            return self._start(lane, worker)
        if lane.hosts >= lane.max_hosts:
            return None
        worker = self._roster.idle_newcomer(segment.shape, segment.index, lane.preparing_nodes)
        return None if worker is None else self._open(lane, worker)

    def _start(self, lane: Lane, worker: Worker, after: int | None = None) -> Run:
        """Give a worker the next bundle of a segment."""
        job, run = lane.take(), next(self._numbers)
        self._jobs[run] = (lane, job, worker.number)
        if after is None:
            self._work_on(lane, worker, run)
        else:
            self._ahead.follow(after, run)
        careful = job.suspicion and job.suspicion.careful
        return Run(worker.number, run, lane.segment.index, job.bundle, careful, after)

    def _work_on(self, lane: Lane, worker: Worker, run: int) -> None:
        self._active[worker.number] = run
        if not self._loan.holds(worker.number):
            self._ahead.started(lane, worker, run)

    def _open(self, lane: Lane, worker: Worker) -> Open:
        self._roster.occupy(worker, lane.segment)
        prepare = worker.node not in lane.ready_nodes
        if prepare:
            lane.preparing_nodes.add(worker.node)
        lane.hosts += 1
        lane.opening += 1
        return Open(worker.number, lane.segment.index, prepare)
