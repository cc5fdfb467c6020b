"""`Staff`: which workers are started, and which are let go. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from nemo_curator.engine.gpus import GpuSlots
from nemo_curator.engine.instructions import Capacity, Start, Stop
from nemo_curator.engine.lane import Lane
from nemo_curator.engine.plan import WorkerShape
from nemo_curator.engine.roster import Roster, Worker

__all__ = ["Staff"]

_EPSILON = 1e-9


class Staff:
    """Starts workers and lets them go, and knows which devices they have.

    Args:
        roster: All workers; entered here, and removed.
        capacity: What the run may use.
        numbers: Numbers for workers.
    """

    def __init__(self, roster: Roster, capacity: Capacity, numbers: Iterator[int]) -> None:
        self._roster = roster
        self._capacity = capacity
        self._numbers = numbers
        self._devices = GpuSlots(capacity.gpus)

    def left(self, number: int) -> Worker | None:
        """Forget a worker that has ended or died; return what it was, see `Roster.remove`."""
        self._devices.release(number)
        return self._roster.remove(number)

    def hire(
        self, lane: Lane, pending: Counter[WorkerShape], needs: Callable[[WorkerShape], bool]
    ) -> Iterator[Start | Stop]:
        """Start workers for bundles that nobody is there for, as long as there may be more of this shape.

        Args:
            lane: The segment.
            pending: Workers that are starting, by shape, and that no more urgent segment waits for; what this one waits for is taken off.
            needs: Says whether workers of a shape have something to do.
        """
        shape = lane.segment.shape
        most = self._capacity.workers
        if lane.segment.cpus:
            most = min(most, int((self._capacity.cpus + _EPSILON) / lane.segment.cpus))
        # Bundles that a worker is being started or set up for need no other.
        demand = max(lane.demand - lane.opening, 0)
        wanted = min(demand, lane.max_hosts - lane.hosts) - pending[shape]
        pending[shape] = max(pending[shape] - demand, 0)
        for _ in range(min(wanted, most - self._roster.count(shape))):
            number = next(self._numbers)
            devices: tuple[str, ...] | None = ()
            if shape.gpus:
                devices = self._devices.acquire(number, shape.gpus)
                if devices is None:
                    yield from self._make_room(shape, needs)
                    return
            self._roster.add(number, shape)
            yield Start(number, shape, devices)

    def _make_room(self, wanted: WorkerShape, needs: Callable[[WorkerShape], bool]) -> Iterator[Stop]:
        """Let go of an idle worker of another shape that has devices which a segment waits for.

        A worker keeps its devices as long as it lives, as it keeps its models on them; so it goes only when it has nothing to do.
        """
        for worker in list(self._roster):
            idle = worker.started and not worker.stopping and worker.busy_with is None and not worker.resting
            if idle and worker.shape.gpus and worker.shape != wanted and not needs(worker.shape):
                self._roster.dismiss(worker)
                yield Stop(worker.number)
                return

    def dismiss(self, lanes: Sequence[Lane]) -> Iterator[Stop]:
        """Let go of workers that no segment will need any more."""
        needed = {lane.segment.shape for lane in lanes if not lane.ended}
        for worker in self._roster.idle_of_other(needed):
            self._roster.dismiss(worker)
            yield Stop(worker.number)
