"""`Guard`: watches workers from outside and says who must go, and when nothing moves. No clock and no I/O of its own.

A worker that hangs in native code cannot watch itself, so whoever drives it looks at its beacon and its memory a few times a
second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nemo_curator.engine.beacon import Where
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.plan import ExecutionPlan, Segment
from nemo_curator.engine.verdict import Death

__all__ = ["Guard", "Reading", "Sentence"]

_GIB = 1024**3
_LONGEST_ROUND_S = 1.0
_MEMORY_ROUND_S = 0.25


@dataclass(frozen=True, slots=True)
class Reading:
    """What can be seen of a worker from outside.

    Attributes:
        worker: The worker.
        busy_with: The segment that it runs or sets up; `None` if it is idle.
        where: What its beacon says.
        private_bytes: Memory of its own; `None` if that cannot be told.
    """

    worker: int
    busy_with: Segment | None
    where: Where
    private_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A worker must be killed.

    Attributes:
        worker: The worker.
        death: Why.
        how: The same as half a sentence.
        in_setup: It was still setting up, so that no task is to blame.
        run: What it was seen with; one that has turned to another run by now is spared.
    """

    worker: int
    death: Death
    how: str
    in_setup: bool = False
    run: int | None = None


class Guard:
    """Compares readings with what stages and the run allow.

    Args:
        plan: The plan.
        options: The run's options.
        memory_bytes: What driver and workers may take together; `None` for no limit.
        now: The time at which the run begins, in seconds of the beacons' clock.
    """

    def __init__(self, plan: ExecutionPlan, options: RunOptions, memory_bytes: int | None, now: float) -> None:
        self._timeouts = {stage.index: stage.timeout_s for stage in plan.stages if stage.timeout_s is not None}
        self._options = options
        self._memory_bytes = memory_bytes
        self._next_round = now
        self._moved_at = self._reported_at = now
        limits = [limit / 4 for limit in self._timeouts.values()]
        limits += [limit / 4 for limit in (options.setup_timeout_s, options.stall_timeout_s) if limit]
        watches_memory = memory_bytes is not None or any(segment.memory_bytes for segment in plan.segments)
        self.round_s = max(0.02, min([*limits, _MEMORY_ROUND_S if watches_memory else _LONGEST_ROUND_S]))

    def due(self, now: float) -> bool:
        """Say whether it is time to look again."""
        if now < self._next_round:
            return False
        self._next_round = now + self.round_s
        return True

    def moved(self, now: float) -> None:
        """Note that something has happened."""
        self._moved_at = self._reported_at = now

    def stalled(self, now: float) -> float:
        """Return for how many seconds nothing has happened, once in every `stall_timeout_s`; otherwise 0."""
        limit = self._options.stall_timeout_s
        if limit is None or now - self._reported_at < limit:
            return 0.0
        self._reported_at = now
        return now - self._moved_at

    def judge(self, now: float, readings: Iterable[Reading], other_bytes: int = 0) -> list[Sentence]:
        """Return the workers that must be killed.

        Args:
            now: The time.
            readings: All workers.
            other_bytes: What the driver takes, and what waits between segments.
        """
        readings = list(readings)
        condemned = [sentence for reading in readings for sentence in [self._too_long(now, reading)] if sentence]
        gone = {sentence.worker for sentence in condemned}
        too_large = [_too_much(reading) for reading in readings if reading.worker not in gone]
        condemned += [sentence for sentence in too_large if sentence]
        return condemned or self._over_budget(readings, other_bytes)

    def _too_long(self, now: float, reading: Reading) -> Sentence | None:
        where, segment = reading.where, reading.busy_with
        if segment is None or not where.since:
            return None
        seconds = now - where.since
        if where.position < 0:
            limit = self._options.setup_timeout_s
            if limit is not None and seconds > limit:
                how = f"was killed as it had not set up within setup_timeout_s={limit:g}"
                return Sentence(reading.worker, Death.TIMED_OUT, how, in_setup=True)
            return None
        limit = self._timeouts.get(where.stage)
        if limit is None or seconds <= limit:
            return None
        how = f"was killed as the call took longer than timeout_s={limit:g}"
        return Sentence(reading.worker, Death.TIMED_OUT, how)

    def _over_budget(self, readings: Sequence[Reading], other_bytes: int) -> list[Sentence]:
        """Return the largest worker that is busy, if all together take more than the run may."""
        known = [reading for reading in readings if reading.private_bytes is not None]
        total = sum(reading.private_bytes or 0 for reading in known) + other_bytes
        busy = [reading for reading in known if reading.busy_with is not None and reading.where.position >= 0]
        if self._memory_bytes is None or total <= self._memory_bytes or not busy:
            return []
        largest = max(busy, key=lambda reading: reading.private_bytes or 0)
        how = (
            f"was killed as it used {(largest.private_bytes or 0) / _GIB:.2f} GiB, the most of all workers, when the run was at "
            f"{total / _GIB:.2f} GiB of the {self._memory_bytes / _GIB:.2f} it may use (memory_gb)"
        )
        return [Sentence(largest.worker, Death.OUT_OF_MEMORY, how)]


def _too_much(reading: Reading) -> Sentence | None:
    segment, used = reading.busy_with, reading.private_bytes
    if segment is None or used is None or not segment.memory_bytes or used <= segment.memory_bytes:
        return None
    how = f"was killed as it used {used / _GIB:.2f} GiB, more than the memory_gb={segment.memory_bytes / _GIB:g} that its stage asks for"
    return Sentence(reading.worker, Death.OUT_OF_MEMORY, how, in_setup=reading.where.position < 0)
