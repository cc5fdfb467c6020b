"""Bundles that busy workers are given ahead, where an answer takes its time to travel. Pure.

On a cluster a worker that is done would wait for the driver to hear of it and to answer. So a busy worker may be given one more
bundle of the segment that it runs, which it starts on by itself. That bundle is no longer free for whoever is idle first, so nobody
gets one from which something more urgent would have to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from nemo_curator.engine.lane import Lane
from nemo_curator.engine.loan import Loan
from nemo_curator.engine.roster import Roster, Worker

__all__ = ["Ahead"]

_LONGEST_SECONDS = 1.0


class Ahead:
    """Knows which run follows which.

    Args:
        enabled: Whether bundles are given ahead at all.
    """

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._following: dict[int, int] = {}
        self._working: dict[int, dict[int, int]] = {}

    def started(self, lane: Lane, worker: Worker, run: int) -> None:
        """Note that a worker works on a run of a segment."""
        if self._enabled:
            self._working.setdefault(lane.segment.index, {})[worker.number] = run

    def paused(self, lane: Lane, number: int) -> None:
        """Note that a worker has handed on a piece, or is gone."""
        if self._enabled:
            self._working.get(lane.segment.index, {}).pop(number, None)

    def follow(self, before: int, run: int) -> None:
        """Note that a run is to follow another in its worker."""
        self._following[before] = run

    def successor(self, run: int) -> int | None:
        """Return the run that a worker turns to now that `run` has ended with it, or the worker with the run."""
        return self._following.pop(run, None)

    def chances(
        self, lanes: Sequence[Lane], roster: Roster, has_room: Callable[[Lane], bool], loan: Loan
    ) -> Iterator[tuple[Lane, Worker, int]]:
        """Yield segments, busy workers that may be given one more bundle of it now, and the run that it would follow; the most urgent first.

        Args:
            lanes: All segments, in stream order.
            roster: All workers.
            has_room: Says whether what a segment makes has a place to wait in.
            loan: What is quick gets a place there, and waits for nobody.
        """
        if not self._enabled:
            return
        # How many workers of less urgent segments will be free soon, and what more urgent ones wait for any worker, or for some.
        yielding = sum(len(self._working.get(lane.segment.index, ())) for lane in lanes)
        for_any, for_some = 0, set[int]()
        for lane in reversed(lanes):
            index = lane.segment.index
            working = self._working.get(index, {})
            yielding -= len(working)
            if not has_room(lane):
                continue
            for number, run in list(working.items()):
                if not _is_short(lane):
                    break
                worker = roster[number]
                if run not in self._following and yielding >= for_any and for_some.isdisjoint(worker.hosts):
                    yield lane, worker, run
            if lane.ready and not loan.is_quick(lane):
                if lane.hosts < lane.max_hosts or roster.idle_host(index) is not None:
                    for_any += 1
                else:
                    for_some.add(index)


def _is_short(lane: Lane) -> bool:
    """Say whether a bundle can be taken that will not take long: of long ones the way is no part, and whoever is idle first shall have them."""
    seconds = lane.seconds_per_bundle
    return lane.has_fresh and seconds is not None and seconds <= _LONGEST_SECONDS
