"""Which of many 64-bit hashes differ in few bits. Needs NumPy 2."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = ["MOST_DISTANCE", "near_pairs", "roots_of_pairs"]

_PARTS, _BITS = 4, 16
# From here on 16 bits of which few differ are no longer few.
MOST_DISTANCE = 4 * _PARTS - 1
_PAIRS_AT_ONCE = 1 << 22


def near_pairs(hashes: Array, distance: int) -> tuple[Array, Array]:
    """Return all pairs of hashes that differ in at most `distance` bits.

    Hashes are cut into four parts of 16 bits. If two differ in at most d bits, one of the parts differs in at most ``d // 4``, so hashes are looked
    up by every part and its neighbours (multi-index hashing, Norouzi et al. 2012, CVPR).

    Args:
        hashes: uint64 of shape ``(n,)``.
        distance: From 0 to `MOST_DISTANCE`.

    Returns:
        Positions of the first and the second of each pair, the first below the second, sorted.
    """
    import numpy as np

    count = len(hashes)
    found = [np.zeros(0, np.int64)]
    for part in range(_PARTS):
        keys = (hashes >> np.uint64(part * _BITS)).astype(np.uint16)
        for first, second in _candidates(keys, distance // _PARTS):
            near = np.bitwise_count(hashes[first] ^ hashes[second]) <= distance
            found.append(np.unique(first[near] * count + second[near]))
    pairs = np.unique(np.concatenate(found))
    return pairs // max(count, 1), pairs % max(count, 1)


def _candidates(keys: Array, radius: int) -> Iterator[tuple[Array, Array]]:
    """Yield pairs of positions whose keys differ in at most `radius` bits, the first below the second."""
    import numpy as np

    order = np.argsort(keys, kind="stable").astype(np.int64)
    inverse = keys[order]
    for flips in _flips(radius):
        wanted = keys ^ np.uint16(flips)
        starts = np.searchsorted(inverse, wanted, "left")
        lengths = np.searchsorted(inverse, wanted, "right") - starts
        for low, high in _cuts(lengths):
            some = lengths[low:high]
            first = np.repeat(np.arange(low, high, dtype=np.int64), some)
            within = np.arange(len(first)) - np.repeat(np.cumsum(some) - some, some)
            second = order[np.repeat(starts[low:high], some) + within]
            ordered = first < second
            yield first[ordered], second[ordered]


def _flips(radius: int) -> Iterator[int]:
    for count in range(radius + 1):
        for bits in combinations(range(_BITS), count):
            yield sum(1 << bit for bit in bits)


def _cuts(lengths: Array) -> Iterator[tuple[int, int]]:
    """Yield ranges of positions with about as many pairs as fit in memory at a time; one position at least."""
    import numpy as np

    ends = np.cumsum(lengths)
    low = 0
    while low < len(lengths):
        before = int(ends[low - 1]) if low else 0
        high = max(low + 1, int(np.searchsorted(ends, before + _PAIRS_AT_ONCE, "right")))
        yield low, high
        low = high


def roots_of_pairs(first: Array, second: Array, count: int) -> Array:
    """Return for each of `count` members the lowest one that pairs connect it to, itself if none."""
    import numpy as np

    parents = np.arange(count, dtype=np.int64)

    def root(member: int) -> int:
        while parents[member] != member:
            parents[member] = parents[parents[member]]
            member = int(parents[member])
        return member

    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        low, high = sorted((root(one), root(other)))
        parents[high] = low
    return np.array([root(member) for member in range(count)], dtype=np.int64)
