"""`Relay`: the driver's side of a run on an engine that schedules for itself. Parcels go out, parcels come back, the books are kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, cast

from nemo_curator.backends.cluster.payload import CarryingPacker
from nemo_curator.engine.envelope import Envelope
from nemo_curator.engine.packing import Frame, Slice, cut_frames
from nemo_curator.engine.parcel import Parcel, Sorter, add_credit, final_parcel
from nemo_curator.engine.plan import ExecutionPlan
from nemo_curator.engine.session import Session
from nemo_curator.engine.sizing import ParcelSize
from nemo_curator.errors import UnpicklableError

__all__ = ["Relay", "bare", "collects"]

_TASKS_ON_THE_WAY = 4096


def bare(plan: ExecutionPlan) -> ExecutionPlan:
    """Return a plan without the user's stage objects: an engine's process shall not read them."""
    stages = [dataclasses.replace(stage, stage=cast("Any", None), sources=None) for stage in plan.stages]
    segments = [
        dataclasses.replace(segment, stages=tuple(stages[stage.index] for stage in segment.stages))
        for segment in plan.segments
    ]
    return dataclasses.replace(plan, stages=tuple(stages), segments=tuple(segments))


def collects(plan: ExecutionPlan, index: int) -> bool:
    """Say whether a segment needs a collector in front of it. The first one gets what it wants from the relay."""
    segment = plan.segments[index]
    return index > 0 and (segment.batch_size > 1 or segment.is_barrier)


class Relay:
    """Feeds an engine and takes in what comes back.

    Args:
        session: The run.
        first: Parcels to feed before anything is known about what a task takes.
        all_at_once: The engine takes its whole input before it begins.
    """

    def __init__(self, session: Session, *, first: int, all_at_once: bool) -> None:
        self._session = session
        self._plan = session.plan
        self._packer = CarryingPacker()
        self._size = ParcelSize(session.options.bundle_seconds, patient=all_at_once)
        self._sorter = Sorter() if session.options.preserve_order else None
        self._collects = any(collects(self._plan, index) for index in range(len(self._plan.segments)))
        self._first, self._all_at_once = first, all_at_once
        self._seen: set[int] = set()
        self._seeds = self._parcels()
        self._fed = self._tasks_fed = self._bytes_fed = 0
        self._taken = self._credit = 0
        self._fed_all = False
        self._batches = sum(segment.batch_size for segment in self._plan.segments)
        self._barrier = any(segment.is_barrier for segment in self._plan.segments[1:])

    # Out

    @property
    def wants_input(self) -> bool:
        """Whether more should be fed now: not so much that all of the input waits somewhere in the cluster."""
        if self._fed_all or self._all_at_once:
            return not self._fed_all
        if self._size.cost is None:
            return self._fed < self._first
        if self._barrier:
            # Nothing comes back before everything is in.
            return True
        waiting = (self._fed - self._taken) / max(self._fed, 1)
        # Batches that are not full yet hold tasks back.
        tasks, room = waiting * self._tasks_fed, _TASKS_ON_THE_WAY + 4 * self._batches
        return self._fed - self._taken < self._first or (
            tasks < room and waiting * self._bytes_fed < self._session.options.edge_bytes
        )

    def learn(self, costs: dict[int, float]) -> None:
        """Take note of what a task takes in the segments."""
        self._size.cost = costs.get(0)

    def next_parcel(self) -> Parcel | None:
        """Return the next parcel to feed; `None` when there are no more."""
        parcel = next(self._seeds, None)
        self._fed_all = parcel is None
        return parcel

    def _parcels(self) -> Iterator[Parcel]:
        segment = self._plan.segments[0]
        waiting: list[Envelope] = []
        for envelope in self._session.seeds(deep=False):
            waiting.append(envelope)
            batch = segment.batch_size
            want = -(-self._size.want(self._tasks_fed, all_there=False) // batch) * batch
            if len(waiting) >= want and not segment.is_barrier:
                yield self._parcel(waiting)
                waiting = []
        if waiting:
            yield self._parcel(waiting)
        if self._collects:
            yield final_parcel(self._fed)

    def _parcel(self, envelopes: list[Envelope]) -> Parcel:
        frames = tuple(Slice.whole(self._pack(part)) for part in cut_frames(envelopes))
        parcel = Parcel(((self._fed, False),), bundle=frames)
        self._fed += 1
        self._tasks_fed += parcel.count
        self._bytes_fed += parcel.nbytes
        self._size.made()
        return parcel

    def _pack(self, part: list[Envelope]) -> Frame:
        try:
            return self._packer.pack(part)
        except Exception as error:  # user classes may raise anything when pickled
            ids = part[0].id if len(part) == 1 else f"one of {part[0].id} to {part[-1].id}"
            message = f"an initial task ({ids}) cannot be sent to a worker: {type(error).__name__}: {error}; keep to plain data"
            raise UnpicklableError(message) from error

    # In

    def receive(self, parcel: Parcel) -> None:
        """Enter what a parcel tells, and deliver what it brings; one that comes again is left out.

        Raises:
            CuratorError: What it tells ends the run.
        """
        if parcel.fed is not None:
            return
        mark = hash(parcel.place)
        if mark in self._seen:
            return
        self._seen.add(mark)
        self._credit = add_credit(self._credit, parcel.credit)
        self._taken += parcel.taken
        for tidings in parcel.tidings:
            for sentence in tidings.warnings:
                self._session.lost_worker(sentence)
            for sentence in tidings.notes:
                self._session.warn(sentence)
            self._session.saw_peak(tidings.peak_bytes)
            segment = self._plan.segments[tidings.segment]
            self._session.note(segment, tidings.counts, tidings.receipts, tidings.deliveries, undone=tidings.undone)
        if parcel.error is not None:
            raise parcel.error
        for ready in self._sorter.add(parcel) if self._sorter else (parcel,):
            for piece in ready.bundle:
                self._session.deliver(self._packer.unpack(piece.frame)[piece.start : piece.stop])

    @property
    def finished(self) -> bool:
        """Whether everything that was fed has come back."""
        return self._fed_all and self._credit == self._fed
