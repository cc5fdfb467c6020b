"""Parcels: what an engine that schedules for itself moves between segments. It never looks inside.

A parcel holds a bundle, and what became of tasks on the way so far. Parcels have a place in a tree, by which their order is known and
one that comes twice is recognised, and a credit: credits of parcels that were fed are one each, what a parcel becomes shares its
credit, and when the credits of all that arrived somewhere add up to what was fed, nothing is under way before that place any more
(Mattern, "Global quiescence detection based on credit distribution and recovery", IPL 30, 1989; shares as in `engine.claims`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from nemo_curator.engine.claims import Claims, Split
from nemo_curator.engine.envelope import Receipt
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.packing import Slice
from nemo_curator.errors import CuratorError

__all__ = ["END", "Parcel", "Place", "Sorter", "Tidings", "descendants", "final_parcel", "passed_on"]

Place = tuple[tuple[int, bool], ...]
"""Where a parcel stands in the tree: for every level its number among its siblings, and whether it is the last of them."""

END: Place = ((-1, True),)
"""The place of the parcel that says how many were fed."""

_MASK = (1 << 64) - 1


@dataclass(slots=True)
class Tidings:
    """What the driver's books must be told about one segment.

    Attributes:
        segment: Index of the segment.
        counts: What its stages did.
        undone: Counts that were told before and are told again.
        receipts: Tasks that left early.
        deliveries: Tasks that reached the end of the pipeline.
        warnings: Workers that died, a sentence each.
        notes: What else is worth a line in the report.
        peak_bytes: The most memory that a worker was seen to have.
    """

    segment: int
    counts: list[StageCounts] = field(default_factory=list[StageCounts])
    undone: list[StageCounts] = field(default_factory=list[StageCounts])
    receipts: list[Receipt] = field(default_factory=list[Receipt])
    deliveries: list[tuple[str, Claims]] = field(default_factory=list[tuple[str, Claims]])
    warnings: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    peak_bytes: int = 0

    def __bool__(self) -> bool:
        return bool(
            self.counts
            or self.undone
            or self.receipts
            or self.deliveries
            or self.warnings
            or self.notes
            or self.peak_bytes
        )

    def add(
        self,
        counts: Sequence[StageCounts],
        receipts: Iterable[Receipt],
        deliveries: Iterable[tuple[str, Claims]],
        undone: Sequence[StageCounts],
    ) -> None:
        """Add what a worker did."""
        _sum_up(self.counts, counts)
        _sum_up(self.undone, undone)
        self.receipts += receipts
        self.deliveries += deliveries


def _sum_up(mine: list[StageCounts], more: Sequence[StageCounts]) -> None:
    if more and not mine:
        mine += [StageCounts() for _ in more]
    for total, counts in zip(mine, more, strict=False):
        total.add(counts)


@dataclass(slots=True)
class Parcel:
    """What is moved at a time.

    Attributes:
        place: Where it stands in the tree of all parcels.
        credit: Its share of what was fed.
        bundle: Tasks for the next segment; may be none.
        tidings: What became of others on the way here.
        fed: In the last parcel that is fed, how many were fed before it; `None` in all others.
        error: What ends the run.
        taken: Parcels that were fed and that the first segment is done with, as far as nobody was told before.
    """

    place: Place
    credit: int = 1
    bundle: tuple[Slice, ...] = ()
    tidings: tuple[Tidings, ...] = ()
    fed: int | None = None
    error: CuratorError | None = None
    taken: int = 0

    @property
    def count(self) -> int:
        """Tasks in it."""
        return sum(piece.count for piece in self.bundle)

    @property
    def nbytes(self) -> int:
        """Bytes that they hold."""
        return sum(piece.nbytes for piece in self.bundle)

    @property
    def passes(self) -> bool:
        """Whether segments have nothing to do with it."""
        return not self.bundle or self.fed is not None or self.error is not None


def final_parcel(fed: int) -> Parcel:
    """Return the parcel that says that so many were fed, and no more will come."""
    return Parcel(END, credit=0, fed=fed)


def passed_on(parcel: Parcel) -> Parcel:
    """Return a parcel as it leaves a segment that has nothing to do with it."""
    if parcel.fed is not None:
        return parcel
    return replace(parcel, place=(*parcel.place, (0, True)))


def descendants(parent: Parcel, made: Iterable[tuple[tuple[Slice, ...], tuple[Tidings, ...]]]) -> Iterator[Parcel]:
    """Yield the parcels that a parcel becomes: at least one. What the parent carried goes with the last.

    Tidings without a bundle travel with one, not as a parcel of their own: to an engine every parcel is a task, and one that waits before a
    worker takes the place of one with work.
    """
    split = Split((("", parent.credit),))
    held: tuple[tuple[Slice, ...], tuple[Tidings, ...]] | None = None
    index = 0
    for current in made:
        if held is not None:
            if not (held[0] and current[0]):
                held = held[0] or current[0], (*held[1], *current[1])
                continue
            ((_, share),) = split.take()
            yield Parcel((*parent.place, (index, False)), share, *held)
            index += 1
        held = current
    bundle, tidings = held or ((), ())
    ((_, share),) = split.rest()
    yield Parcel(
        (*parent.place, (index, True)),
        share,
        bundle,
        (*parent.tidings, *tidings),
        error=parent.error,
        taken=parent.taken,
    )


class Sorter:
    """Hands parcels on in the order of their places, whatever order they come in.

    All parcels that come to one point of a pipeline have places of the same depth. The reorder buffer holds what came too early.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[int, ...], Parcel] = {}
        self._next: tuple[int, ...] = (0,)

    def add(self, parcel: Parcel) -> Iterator[Parcel]:
        """Take a parcel; yield those whose turn it is now."""
        self._held[tuple(index for index, _ in parcel.place)] = parcel
        depth = len(parcel.place)
        while (ready := self._held.pop(self._next + (0,) * (depth - len(self._next)), None)) is not None:
            yield ready
            level = depth - 1
            while level and ready.place[level][1]:
                level -= 1
            indices = [index for index, _ in ready.place[: level + 1]]
            self._next = (*indices[:-1], indices[-1] + 1)


def add_credit(total: int, credit: int) -> int:
    """Return the sum of two credits."""
    return (total + credit) & _MASK
