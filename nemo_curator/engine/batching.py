"""`Edge`: the queue in front of a segment, which hands out bundles of the right size. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from nemo_curator.engine.packing import Slice

__all__ = ["Edge"]


class Edge:
    """Frames that wait for a segment.

    Args:
        batch_size: Bundles hold multiples of this, until the stream has ended and the remainder is flushed.
        barrier: There is one bundle: everything, once the stream has ended.
    """

    def __init__(self, *, batch_size: int = 1, barrier: bool = False) -> None:
        self.batch_size = batch_size
        self.barrier = barrier
        self.ended = False
        self.count = 0
        self.nbytes = 0
        self._slices: deque[Slice] = deque()

    def put(self, slices: Iterable[Slice]) -> None:
        """Append envelopes."""
        for piece in slices:
            if piece.count:
                self._slices.append(piece)
                self.count += piece.count
                self.nbytes += piece.nbytes

    @property
    def ready(self) -> bool:
        """Whether a bundle can be taken."""
        if self.ended:
            return self.count > 0
        return not self.barrier and self.count >= self.batch_size

    @property
    def node(self) -> str:
        """The machine that the next bundle's first frame lies on; empty if that makes no difference."""
        return self._slices[0].frame.node if self._slices else ""

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left and nothing will come."""
        return self.ended and self.count == 0

    def take(self, want: int, max_bytes: int) -> list[Slice]:
        """Take a bundle: about `want` envelopes, in a multiple of the batch size, cut where it grows over `max_bytes`.

        Call it when `ready`. The first batch is never cut, and the last one of a stream may be smaller.
        """
        if self.barrier:
            bundle, self._slices = list(self._slices), deque()
            self.count = self.nbytes = 0
            return bundle
        batch = self.batch_size
        whole = self.count if self.ended else self.count // batch * batch
        goal = min(max(want // batch, 1) * batch, whole)
        bundle: list[Slice] = []
        taken = size = 0
        while taken < goal:
            piece = self._take_at_most(goal - taken)
            bundle.append(piece)
            taken += piece.count
            size += piece.nbytes
            if size >= max_bytes:
                goal = min(goal, -(-taken // batch) * batch)
        return bundle

    def _take_at_most(self, number: int) -> Slice:
        piece = self._slices.popleft()
        if piece.count > number:
            self._slices.appendleft(Slice(piece.frame, piece.start + number, piece.stop))
            piece = Slice(piece.frame, piece.start, piece.start + number)
        self.count -= piece.count
        # Parts of a frame are rounded down each for itself; an empty queue holds nothing.
        self.nbytes = self.nbytes - piece.nbytes if self.count else 0
        return piece
