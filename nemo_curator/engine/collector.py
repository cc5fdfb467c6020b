"""`Collector`: makes batches of exact size out of parcels, where an engine moves them that knows nothing of batches. Pure.

It stands in front of a segment that wants `batch_size` tasks at a time, or all at once. There is one of it, all parcels pass it, and
by their credits it knows when the last one has come, and flushes what it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nemo_curator.engine.batching import Edge
from nemo_curator.engine.claims import Split
from nemo_curator.engine.parcel import Parcel, Place, Sorter, Tidings, add_credit, final_parcel

__all__ = ["Collector"]


class Collector:
    """Takes parcels and yields others, with multiples of the batch size in them.

    Args:
        batch_size: What the segment is called with.
        barrier: It is called with everything at once.
        in_order: Take parcels in the order of their places.
        max_bytes: Size at which a parcel is cut.
    """

    def __init__(self, *, batch_size: int, barrier: bool, in_order: bool, max_bytes: int) -> None:
        self._edge = Edge(batch_size=batch_size, barrier=barrier)
        self._sorter = Sorter() if in_order else None
        self._max_bytes = max_bytes
        self._seen: set[Place] = set()
        self._tidings: tuple[Tidings, ...] = ()
        self._total = self._passing = self._taken = 0
        self._fed: int | None = None
        self._made = 0
        self._finished = False

    def add(self, parcel: Parcel, want: int) -> Iterator[Parcel]:
        """Take a parcel; yield what can go on.

        Args:
            parcel: The parcel.
            want: Tasks that one parcel shall hold, roughly.
        """
        if parcel.error is not None:
            yield self._next(error=parcel)
            return
        if parcel.fed is not None:
            self._fed = parcel.fed
        elif parcel.place in self._seen:
            return
        else:
            self._seen.add(parcel.place)
            self._total = add_credit(self._total, parcel.credit)
            for ready in self._sorter.add(parcel) if self._sorter else (parcel,):
                self._take(ready)
        if self._fed is not None and self._total == self._fed:
            self._edge.ended = True
        while self._edge.ready:
            yield self._next(tuple(self._edge.take(want, self._max_bytes)))
        if self._edge.ended:
            if not self._finished:
                yield from self._finish()
        elif not self._edge.count and self._passing:
            # Nothing waits here, so nothing will come that could take along what else is known.
            yield self._next()

    def _take(self, parcel: Parcel) -> None:
        self._edge.put(parcel.bundle)
        self._tidings += parcel.tidings
        self._passing = add_credit(self._passing, parcel.credit)
        self._taken += parcel.taken

    def _next(self, bundle: tuple[object, ...] = (), *, error: Parcel | None = None) -> Parcel:
        place: Place = ((self._made, False),)
        self._made += 1
        if error is not None:
            return replace(error, place=place)
        credit, self._passing = self._passing, 0
        if self._edge.count:
            # What waits keeps a share: credits must not be complete before everything has gone on.
            split = Split((("", credit),))
            ((_, credit),), ((_, self._passing),) = split.take(), split.rest()
        parcel = Parcel(place, credit, bundle, self._tidings, taken=self._taken)  # type: ignore[arg-type]
        self._tidings, self._taken = (), 0
        return parcel

    def _finish(self) -> Iterator[Parcel]:
        self._finished = True
        if self._tidings or self._passing or self._taken:
            yield self._next()
        if self._fed is not None:
            yield final_parcel(self._fed)
