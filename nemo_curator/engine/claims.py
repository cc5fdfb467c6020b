"""Who may say that a source is finished: claims that add up to one.

A source starts with one claim. What a task becomes shares the task's claim. When the claims of everything that left the
pipeline (kept, dropped or failed) add up to one, nothing of the source is under way any more.

A claim is a whole number modulo 2**64. All children but the last get numbers that are spread over the whole range, the last
one gets what is missing. So a claim has one size however deep a pipeline fans out, children of an iterator get theirs before
anybody knows how many there will be, and a partial sum is one by accident with probability 2**-64. Storm's acker rests on the
same idea (tuple ids combined by XOR; Toshniwal et al., "Storm @Twitter", SIGMOD 2014, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["ONE", "Claim", "Claims", "Split", "is_whole", "merge"]

Claim = tuple[str, int]
"""A source's id and a share of it."""
Claims = tuple[Claim, ...]
"""Nothing before the source stage, one source after it, several once tasks were grouped."""

ONE = 1
_MASK = (1 << 64) - 1


def is_whole(total: int) -> bool:
    """Say whether shares that sum to `total` are all there are."""
    return total & _MASK == ONE


def _spread(number: int) -> int:
    """SplitMix64's output function (Steele et al., OOPSLA 2014): a well-spread number for every number."""
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & _MASK
    return number ^ (number >> 31)


class Split:
    """Divides the claims of one task, or of a group, among children whose number need not be known.

    The same claims are always divided in the same way, so that work done twice gives the same claims.
    """

    __slots__ = ("_left", "_next")

    def __init__(self, claims: Claims) -> None:
        self._left = claims
        self._next = 0

    def take(self) -> Claims:
        """Return the claims of a child that is not the last."""
        if not self._left:
            return ()
        self._next += 1
        given: list[Claim] = []
        left: list[Claim] = []
        for source, share in self._left:
            part = _spread((share + self._next * 0x9E3779B97F4A7C15) & _MASK)
            given.append((source, part))
            left.append((source, (share - part) & _MASK))
        self._left = tuple(left)
        return tuple(given)

    def rest(self) -> Claims:
        """Return the claims of the last child: all that is left."""
        return self._left


def merge(parents: Sequence[Claims]) -> Claims:
    """Return the claims of a group: those of all its members, shares of one source added up."""
    total: dict[str, int] = {}
    for claims in parents:
        for source, share in claims:
            total[source] = (total.get(source, 0) + share) & _MASK
    return tuple(total.items())
