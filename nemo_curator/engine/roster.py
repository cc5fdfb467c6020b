"""The workers as the scheduler sees them, indexed by what it asks about, so that thousands of them cost no more than a few. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from nemo_curator.engine.plan import Segment, WorkerShape

__all__ = ["Free", "Roster", "Worker"]

_EPSILON = 1e-9


@dataclass(slots=True, eq=False)
class Worker:
    """One worker.

    Attributes:
        number: Its number.
        shape: What it can host.
        node: The machine that it is on; empty until it has started.
        started: It takes commands.
        stopping: It was told to end.
        busy_with: The segment that it works on or sets up; `None` when it is idle.
        hosts: Segments that it has set up.
        resting: Its runs that rest, by segment: at most one a segment, so that no stage is entered twice.
    """

    number: int
    shape: WorkerShape
    node: str = ""
    started: bool = False
    stopping: bool = False
    busy_with: Segment | None = None
    hosts: set[int] = field(default_factory=set[int])
    resting: dict[int, int] = field(default_factory=dict[int, int])


class Roster:
    """All workers of a run, and what they keep busy.

    Attributes:
        busy: Workers that work or set up.
        cpus: CPUs that these take.
        memory_bytes: Memory that their stages say they need.
    """

    def __init__(self) -> None:
        self._workers: dict[int, Worker] = {}
        self._idle: dict[WorkerShape, dict[int, Worker]] = {}
        self._idle_hosts: dict[int, dict[int, Worker]] = {}
        self._resting: dict[int, dict[int, Worker]] = {}
        self._count: Counter[WorkerShape] = Counter()
        self._starting: Counter[WorkerShape] = Counter()
        self._stopping = 0
        self.busy = 0
        self.cpus = 0.0
        self.memory_bytes = 0

    def __getitem__(self, number: int) -> Worker:
        return self._workers[number]

    def get(self, number: int) -> Worker | None:
        """Return the worker of that number, if it is still there."""
        return self._workers.get(number)

    # What there is

    def count(self, shape: WorkerShape) -> int:
        """Return how many workers of a shape there are, those that are starting included."""
        return self._count[shape]

    def starting(self) -> Counter[WorkerShape]:
        """Return how many workers of each shape are starting."""
        return Counter(self._starting)

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers.values())

    @property
    def quiet(self) -> bool:
        """Whether no worker works, sets up, starts or ends."""
        return not self.busy and not self._starting.total() and not self._stopping

    def idle_host(self, segment: int, near: str = "") -> Worker | None:
        """Return an idle worker that has the segment set up and no run of it that rests, on the machine `near` if there is one."""
        hosts = (worker for worker in self._idle_hosts.get(segment, {}).values() if segment not in worker.resting)
        any_host = next(hosts, None)
        if any_host is None or not near or any_host.node == near:
            return any_host
        return next((worker for worker in hosts if worker.node == near), any_host)

    def idle_newcomer(self, shape: WorkerShape, segment: int, busy_nodes: Container[str]) -> Worker | None:
        """Return the idle worker that hosts the least, of those that do not host the segment: hosting costs memory.

        Args:
            shape: What it must be able to host.
            segment: The segment.
            busy_nodes: Machines on which the segment is being prepared by another.
        """
        candidates = (
            worker
            for worker in self._idle.get(shape, {}).values()
            if segment not in worker.hosts and worker.node not in busy_nodes
        )
        return min(candidates, key=lambda worker: len(worker.hosts), default=None)

    def idle_resting(self, segment: int) -> Iterator[Worker]:
        """Yield idle workers with a run of the segment that rests."""
        return (worker for worker in list(self._resting.get(segment, {}).values()) if self._is_idle(worker))

    def idle_of_other(self, needed: set[WorkerShape]) -> list[Worker]:
        """Return idle workers of shapes that are not needed."""
        return [worker for shape, idle in self._idle.items() if shape not in needed for worker in idle.values()]

    # What changes

    def add(self, number: int, shape: WorkerShape) -> None:
        """Note a worker that is being started."""
        self._workers[number] = Worker(number, shape)
        self._count[shape] += 1
        self._starting[shape] += 1

    def started(self, number: int, node: str) -> None:
        """Note that a worker takes commands, and where it is."""
        worker = self._workers[number]
        worker.started, worker.node = True, node
        self._starting[worker.shape] -= 1
        self._enter_idle(worker)

    def occupy(self, worker: Worker, segment: Segment) -> None:
        """Note that an idle worker gets something to do."""
        self._leave_idle(worker)
        worker.busy_with = segment
        self.busy += 1
        self.cpus += segment.cpus
        self.memory_bytes += segment.memory_bytes

    def release(self, worker: Worker) -> None:
        """Note that a worker is done with what it did."""
        self._stop_work(worker)
        self._enter_idle(worker)

    def rest(self, worker: Worker, segment: int, run: int) -> None:
        """Note that a run of the worker rests."""
        worker.resting[segment] = run
        self._resting.setdefault(segment, {})[worker.number] = worker

    def wake(self, worker: Worker, segment: int) -> int:
        """Return the run of the worker that rests, which goes on."""
        del self._resting[segment][worker.number]
        return worker.resting.pop(segment)

    def dismiss(self, worker: Worker) -> None:
        """Note that an idle worker was told to end."""
        self._leave_idle(worker)
        worker.stopping = True
        self._stopping += 1
        self._count[worker.shape] -= 1

    def remove(self, number: int) -> Worker | None:
        """Forget a worker that has ended or died; return what it was, unless it was told to end or is not known."""
        worker = self._workers.pop(number, None)
        if worker is None:
            return None
        if worker.stopping:
            self._stopping -= 1
            return None
        if not worker.started:
            self._starting[worker.shape] -= 1
        elif worker.busy_with is not None:
            self._stop_work(worker, forget=False)
        else:
            self._leave_idle(worker)
        for segment in worker.resting:
            del self._resting[segment][number]
        self._count[worker.shape] -= 1
        return worker

    def _stop_work(self, worker: Worker, *, forget: bool = True) -> None:
        segment = worker.busy_with
        assert segment is not None
        self.busy -= 1
        self.cpus -= segment.cpus
        self.memory_bytes -= segment.memory_bytes
        if forget:
            worker.busy_with = None

    def _is_idle(self, worker: Worker) -> bool:
        return worker.number in self._idle.get(worker.shape, ())

    def _enter_idle(self, worker: Worker) -> None:
        self._idle.setdefault(worker.shape, {})[worker.number] = worker
        for segment in worker.hosts:
            self._idle_hosts.setdefault(segment, {})[worker.number] = worker

    def _leave_idle(self, worker: Worker) -> None:
        del self._idle[worker.shape][worker.number]
        for segment in worker.hosts:
            self._idle_hosts[segment].pop(worker.number, None)


@dataclass(slots=True)
class Free:
    """What is left to be given away in one round of decisions."""

    workers: int
    cpus: float
    memory_bytes: float

    def fits(self, segment: Segment) -> bool:
        """Whether a bundle of the segment can run besides what runs."""
        return self.workers >= 1 and self.cpus + _EPSILON >= segment.cpus and self.memory_bytes >= segment.memory_bytes

    def give(self, segment: Segment) -> None:
        """Take away what the segment needs."""
        self.workers -= 1
        self.cpus -= segment.cpus
        self.memory_bytes -= segment.memory_bytes
