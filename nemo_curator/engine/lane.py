"""A segment as the scheduler sees it: what waits for it, what is under way, and in which order its outputs go on. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from nemo_curator.engine.batching import Edge
from nemo_curator.engine.inquest import Job, Place
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import Slice
from nemo_curator.engine.plan import Segment

__all__ = ["Lane"]

_MAX_BUNDLE = 8192
_GROWTH = 8
_SMOOTHING = 0.3


class Lane:
    """One segment's queue, jobs and learned bundle size.

    Args:
        segment: The segment.
        options: The run's options.
        workers: Workers that the run may have; more bundles than a few for each are not started ahead of an unfinished one
            when order is kept.
        nodes: Machines that the workers are on.
    """

    def __init__(self, segment: Segment, options: RunOptions, workers: int, nodes: int = 1) -> None:
        self.segment = segment
        self.edge = Edge(batch_size=segment.batch_size, barrier=segment.is_barrier)
        self.max_hosts = min(segment.worker_limit(nodes) or workers, workers)
        self.hosts = 0
        self.opening = 0
        self.setup_deaths = 0
        self.ready_nodes: set[str] = set()
        self.preparing_nodes: set[str] = set()
        self.active = 0
        self._options = options
        self._window = 4 * workers
        self._want = segment.batch_size
        self._seconds_per_task: float | None = None
        self._seconds = 0.0
        self._made = 0
        self._again: deque[Job] = deque()
        self._line: deque[Place] = deque()

    @property
    def ready(self) -> bool:
        """Whether there is a bundle to start."""
        if self._again:
            return True
        if len(self._line) > self._window:
            return False
        return self.edge.ready

    @property
    def has_fresh(self) -> bool:
        """Whether there is a bundle to start that no worker has died with."""
        return not self._again and not self.edge.barrier and self.ready

    @property
    def seconds_per_bundle(self) -> float | None:
        """What a bundle takes a worker; `None` as long as nobody knows."""
        known = self._seconds_per_task
        return None if known is None else known * self._want

    @property
    def pace(self) -> float | None:
        """Seconds that a worker takes for a task that leaves the segment; `None` as long as none has."""
        return self._seconds / self._made if self._made else None

    def worked(self, seconds: float, made: int) -> None:
        """Note a piece: what it took, and the tasks in it."""
        self._seconds += seconds
        self._made += made

    @property
    def ended(self) -> bool:
        """Whether nothing more will leave this segment."""
        return self.edge.exhausted and not self.active and not self._again

    @property
    def demand(self) -> int:
        """Workers that could start on a bundle now."""
        if self.edge.barrier:
            return int(self.ready)
        return len(self._again) + -(-self.edge.count // max(self._want, 1)) if self.ready else 0

    def take(self) -> Job:
        """Start the next bundle. Call it when `ready`."""
        self.active += 1
        if self._again:
            return self._take_again()
        # Near the end of what waits, a fair share for everybody beats a long bundle for one.
        fair = -(-self.edge.count // self.max_hosts)
        bundle = tuple(self.edge.take(min(self._want, max(fair, 1)), self._options.piece_bytes))
        job = Job(bundle)
        if self._options.preserve_order:
            self._line.append(job.place)
        return job

    def replace(self, job: Job, jobs: Sequence[Job]) -> None:
        """Let other jobs, in stream order, take the place of one whose worker died."""
        self.active -= 1
        self._again.extend(jobs)
        if self._options.preserve_order:
            index = next(number for number, place in enumerate(self._line) if place is job.place)
            job.place.complete = True
            for offset, other in enumerate(jobs, 1):
                self._line.insert(index + offset, other.place)

    def _take_again(self) -> Job:
        """Return a job to be done again; where order is kept the first in line, as others would wait for it."""
        if self._options.preserve_order:
            ranks = {id(place): rank for rank, place in enumerate(self._line)}
            first = min(self._again, key=lambda job: ranks[id(job.place)])
            self._again.remove(first)
            return first
        return self._again.popleft()

    def may_go_on(self, job: Job) -> bool:
        """Whether a job that rests may make more now, as far as order is concerned."""
        return not self._options.preserve_order or self._turn() is job.place

    def hand_on(self, job: Job, slices: list[Slice], *, finished: bool) -> list[Slice]:
        """Return what goes on now that `job` has made `slices`: these, or those whose turn it is if order is kept."""
        if finished:
            self.active -= 1
            if job.suspicion is None:
                self._learn(job)
        if not self._options.preserve_order:
            return slices
        job.place.held += slices
        job.place.complete = finished
        released: list[Slice] = []
        while self._line:
            place = self._line[0]
            released += place.held
            place.held = []
            if not place.complete:
                break
            self._line.popleft()
        return released

    def _turn(self) -> Place | None:
        while self._line and self._line[0].complete and not self._line[0].held:
            self._line.popleft()
        return self._line[0] if self._line else None

    def _learn(self, job: Job) -> None:
        """Choose the size of the next bundles by what this one took."""
        sample = job.seconds / max(job.count, 1)
        known = self._seconds_per_task
        self._seconds_per_task = sample if known is None else known + _SMOOTHING * (sample - known)
        ideal = self._options.bundle_seconds / max(self._seconds_per_task, 1e-7)
        self._want = int(min(max(ideal, self.segment.batch_size), self._want * _GROWTH, _MAX_BUNDLE))
