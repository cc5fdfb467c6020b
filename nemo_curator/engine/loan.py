"""`Loan`: one place beside those of the capacity, for what is quick, so that what is slow need not give way to it. Pure.

A segment that hands its outputs on, or takes its inputs, to and from a much slower one has next to nothing to do. Where capacity is
taken, a worker of the slow one would stop for it, and on a cluster would stand still for as long as an answer travels, which is longer
than the quick one works.
"""

from __future__ import annotations

from collections.abc import Sequence

from nemo_curator.engine.lane import Lane

__all__ = ["Loan"]

_QUICKER = 10
_LOW_SECONDS = 0.5


class Loan:
    """Who has the place.

    Args:
        lanes: All segments, in stream order.
        enabled: Whether there is such a place.
    """

    def __init__(self, lanes: Sequence[Lane], *, enabled: bool) -> None:
        self._lanes = lanes
        self._enabled = enabled
        self._holder: int | None = None

    def is_quick(self, lane: Lane) -> bool:
        """Say whether a segment takes at most a tenth, for a task that it makes, of what the slowest takes."""
        if not self._enabled or lane.edge.barrier or lane.pace is None:
            return False
        return lane.pace * _QUICKER <= max(other.pace or 0.0 for other in self._lanes)

    def offers(self, lane: Lane) -> bool:
        """Say whether a segment may have the place now: it is quick, and the next one will soon have nothing to do without it."""
        if self._holder is not None or not self.is_quick(lane):
            return False
        following = lane.segment.index + 1
        if following == len(self._lanes):
            return True
        after = self._lanes[following]
        return after.edge.count * (after.pace or 0.0) < _LOW_SECONDS * max(after.hosts, 1)

    def take(self, worker: int) -> None:
        """Note that a worker has the place."""
        self._holder = worker

    def holds(self, worker: int) -> bool:
        """Say whether a worker has the place."""
        return self._holder == worker

    def give_back(self, worker: int) -> None:
        """Note that a worker has handed on a piece, or is gone."""
        if self._holder == worker:
            self._holder = None
