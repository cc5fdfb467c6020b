"""A segment as the scheduler sees it: what waits for it, what is under way, and in which order its outputs go on. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from nemo_curator.engine.batching import Edge
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import Frame, Slice
from nemo_curator.engine.plan import Segment

__all__ = ["Job", "Lane"]

_MAX_BUNDLE = 8192
_GROWTH = 8
_SMOOTHING = 0.3


@dataclass(slots=True)
class Job:
    """A bundle with its place in the stream.

    Attributes:
        bundle: The input.
        order: Its position among the segment's bundles.
        deaths: Workers that died with it.
        seconds: Time that workers spent on it.
        untouched: Nothing of its output was handed on yet, so that it can be done again.
    """

    bundle: tuple[Slice, ...]
    order: int
    deaths: int = 0
    seconds: float = 0.0
    untouched: bool = True

    @property
    def count(self) -> int:
        """Envelopes in the bundle."""
        return sum(piece.count for piece in self.bundle)


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
        self.node_ready = False
        self.node_preparing = False
        self.active = 0
        self._options = options
        self._window = 4 * workers
        self._want = segment.batch_size
        self._seconds_per_task: float | None = None
        self._again: deque[Job] = deque()
        self._next_order = 0
        self._turn = 0
        self._held: dict[int, list[Frame]] = {}
        self._complete: set[int] = set()

    @property
    def ready(self) -> bool:
        """Whether there is a bundle to start."""
        if self._again:
            return True
        if self._options.preserve_order and self._next_order - self._turn > self._window:
            return False
        return self.edge.ready

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
            return self._again.popleft()
        # Near the end of what waits, a fair share for everybody beats a long bundle for one.
        fair = -(-self.edge.count // self.max_hosts)
        bundle = tuple(self.edge.take(min(self._want, max(fair, 1)), self._options.piece_bytes))
        job = Job(bundle, self._next_order)
        self._next_order += 1
        return job

    def give_back(self, job: Job) -> None:
        """Let a job whose worker died be started again, as it was."""
        self.active -= 1
        job.deaths += 1
        self._again.append(job)

    def may_go_on(self, job: Job) -> bool:
        """Whether a job that rests may make more now, as far as order is concerned."""
        return not self._options.preserve_order or job.order == self._turn

    def hand_on(self, job: Job, frames: list[Frame], *, finished: bool) -> list[Frame]:
        """Return what goes on now that `job` has made `frames`: these, or those whose turn it is if order is kept."""
        if finished:
            self.active -= 1
            self._learn(job)
        if not self._options.preserve_order:
            return frames
        self._held.setdefault(job.order, []).extend(frames)
        if finished:
            self._complete.add(job.order)
        released: list[Frame] = []
        while True:
            released += self._held.pop(self._turn, [])
            if self._turn not in self._complete:
                return released
            self._complete.discard(self._turn)
            self._turn += 1

    def _learn(self, job: Job) -> None:
        """Choose the size of the next bundles by what this one took."""
        sample = job.seconds / max(job.count, 1)
        known = self._seconds_per_task
        self._seconds_per_task = sample if known is None else known + _SMOOTHING * (sample - known)
        ideal = self._options.bundle_seconds / max(self._seconds_per_task, 1e-7)
        self._want = int(min(max(ideal, self.segment.batch_size), self._want * _GROWTH, _MAX_BUNDLE))
