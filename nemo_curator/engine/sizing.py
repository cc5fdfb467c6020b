"""`ParcelSize`: how many tasks travel together on an engine that we do not drive. No clock of its own."""

from __future__ import annotations

from collections.abc import Iterator

from nemo_curator.engine.inquest import cut
from nemo_curator.engine.packing import Slice

__all__ = ["PRICE_SECONDS", "ParcelSize"]

PRICE_SECONDS = 0.05
_MOST = 4096
_BLIND = 64
_SPREAD = 32
_GROWTH = 4


class ParcelSize:
    """Says how many tasks make a parcel for the next segment.

    Once it is known what a task takes there, a parcel is `seconds` of work. As long as nobody knows, few tasks shall spread over all
    workers, and many shall not pay an engine's price each. Where all that is to be divided is at hand, it is divided into 32 parcels of
    at most 64 tasks; where more is to come, parcels begin with one task and grow by one every fourth time. What came in a parcel is not
    cut into smaller ones.

    Args:
        seconds: Work that a parcel aims at; never less than what an engine takes for moving it (ADR 0001).
        patient: What is made waits until all of it is there: the engine takes nothing before.

    Attributes:
        cost: Seconds that a task takes in the next segment; `None` as long as that is not known.
    """

    def __init__(self, seconds: float, *, patient: bool) -> None:
        self.cost: float | None = None
        self._seconds = max(seconds, PRICE_SECONDS)
        self._patient = patient
        self._made = 0

    def want(self, at_hand: int, *, all_there: bool, came: int = 1) -> int:
        """Return how many tasks the next parcel shall hold.

        Args:
            at_hand: Tasks that wait.
            all_there: No more will come soon.
            came: Tasks in the parcel that they were made of. That was cut so that all workers get something; to know no more now is no
                reason to cut it again.
        """
        if self.cost is not None:
            return min(_MOST, max(1, int(self._seconds / max(self.cost, 1e-7))))
        if all_there or self._patient:
            return min(_BLIND, max(came, -(-at_hand // _SPREAD)))
        return min(_BLIND, max(came, 1 + self._made // _GROWTH))

    def made(self) -> None:
        """Count a parcel."""
        self._made += 1

    def cut(self, waiting: list[Slice], max_bytes: int, *, rest: bool, came: int = 1) -> Iterator[tuple[Slice, ...]]:
        """Take parcels off what waits, and yield them.

        Args:
            waiting: What waits; what is yielded is removed.
            max_bytes: Size at which a parcel is cut.
            rest: Take all, also what is too little for a parcel.
            came: See `want`.
        """
        count, nbytes = sum(piece.count for piece in waiting), sum(piece.nbytes for piece in waiting)
        if not rest and self._patient and count < _BLIND * _SPREAD and nbytes < max_bytes:
            return
        want = self.want(count, all_there=rest, came=came)
        while count and (rest or count >= want or nbytes >= max_bytes):
            share = min(want, max(1, count * max_bytes // nbytes)) if nbytes > max_bytes else want
            bundle = tuple(cut(waiting, 0, share))
            waiting[:] = cut(waiting, share, count)
            count -= min(share, count)
            nbytes = sum(piece.nbytes for piece in waiting)
            self.made()
            yield bundle
            if not (rest or self._patient):
                want = self.want(count, all_there=False, came=came)
