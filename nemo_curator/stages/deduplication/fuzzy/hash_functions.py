"""The hash functions of MinHash, ``(a·h + b) mod p``, and the smallest value that each of them has over the n-grams of a text.

Of what a signature costs this is the most: a page of 5,000 n-grams and 260 functions is 1.3 million values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Indices = npt.NDArray[np.int64]
    Numbers = npt.NDArray[np.uint64]

__all__ = ["PRIME", "WIDE_PRIME", "NarrowFunctions", "WideFunctions"]

PRIME = 2**31 - 1
WIDE_PRIME = 2**61 - 1
# Functions and hashes (so many, to twice as many) that are worked out at a time: what fits the caches of a core. For fewer hashes than
# numpy's buffers have room for it makes copies first, and takes twice as long.
_FUNCTIONS, _HASHES = 8, 1 << 13


class _Functions(ABC):
    """Works out values for so many hashes at a time as fit the caches.

    Args:
        a: Factors, shape (k,), from 1 to p - 1.
        b: Summands, shape (k,), from 0 to p - 1.
    """

    def __init__(self, a: Numbers, b: Numbers) -> None:
        self.a = a
        self.b = b

    def smallest(self, hashes: npt.NDArray[Any], edges: Indices) -> Numbers:
        """Return, for every function, its smallest value from each edge to the next.

        Args:
            hashes: What the functions are applied to; shape (n,), unsigned.
            edges: Where groups begin, shape (m,), rising; the first is 0.

        Returns:
            Shape (k, m).
        """
        import numpy as np

        found = np.full((len(self.a), len(edges)), np.iinfo(np.uint64).max)
        bounds = np.linspace(0, len(hashes), -(-len(hashes) // (2 * _HASHES)) + 1).astype(int).tolist()
        for start, stop in pairwise(bounds):
            first, last = np.searchsorted(edges, (start, stop)).tolist()
            inside = edges[first:last] - start
            # What the block begins with is the rest of a group, where none begins just there.
            if first == last or inside[0]:
                first, inside = first - 1, np.concatenate([[0], inside])
            of_block = found[:, first:last]
            np.minimum(of_block, self._smallest(self._taken(hashes[start:stop]), inside), out=of_block)
        return found

    @abstractmethod
    def _taken(self, hashes: npt.NDArray[Any]) -> Numbers:
        """Return a block of hashes as the functions take them."""

    @abstractmethod
    def _smallest(self, h: Numbers, edges: Indices) -> Numbers:
        """Do it for one block of what `_taken` returned."""


class NarrowFunctions(_Functions):
    """Those with p = 2³¹-1, as fractions of a circle: in numbers of 64 bits that wrap around, ``mod`` costs nothing.

    ``(a·h + b) mod p`` is the fractional part of ``(a·h + b) / p``, times p. With A and B the whole parts of 2⁶⁴·a/p and 2⁶⁴·b/p,
    the lowest 64 bits of ``A·h + B`` are that fraction, too small by less than h + 1, which is 2³² at most, while two values of it are 2³³
    apart: so they come in the same order, and the smallest tells the exact value. 2³² more keeps a value of zero from wrapping around.
    That holds for any h of 32 bits, so that nothing is to be done to hashes before.
    """

    def __init__(self, a: Numbers, b: Numbers) -> None:
        import numpy as np

        fractions = (
            np.array([[(int(value) << 64) // PRIME + more] for value in values], np.uint64)
            for values, more in ((a, 0), (b, 1 << 32))
        )
        super().__init__(*fractions)
        self._room = np.empty(_FUNCTIONS * 2 * _HASHES, np.uint64)

    def smallest(self, hashes: npt.NDArray[Any], edges: Indices) -> Numbers:
        """Return, for every function, its smallest value from each edge to the next."""
        import numpy as np

        prime, half = np.uint64(PRIME), np.uint64(32)
        found = super().smallest(hashes, edges)
        # The upper 64 bits of the product with p.
        low = (found & np.uint64(2**32 - 1)) * prime
        return ((found >> half) * prime + (low >> half)) >> half

    def _taken(self, hashes: npt.NDArray[Any]) -> Numbers:
        import numpy as np

        return hashes.astype(np.uint64)

    def _smallest(self, h: Numbers, edges: Indices) -> Numbers:
        import numpy as np

        found = np.empty((len(self.a), len(edges)), np.uint64)
        for first in range(0, len(self.a), _FUNCTIONS):
            some = slice(first, first + _FUNCTIONS)
            a, b = self.a[some], self.b[some]
            values = self._room[: len(a) * len(h)].reshape(len(a), len(h))
            np.multiply(a, h, out=values)
            np.add(values, b, out=values)
            np.minimum.reduceat(values, edges, axis=1, out=found[some])
        return found


class WideFunctions(_Functions):
    """Those with p = 2⁶¹-1, which take five to eight times as long."""

    def __init__(self, a: Numbers, b: Numbers) -> None:
        import numpy as np

        super().__init__(a, b)
        self._room = np.empty((3, 2 * _HASHES), np.uint64)

    def _taken(self, hashes: npt.NDArray[Any]) -> Numbers:
        import numpy as np

        return hashes % np.uint64(WIDE_PRIME)

    def _smallest(self, h: Numbers, edges: Indices) -> Numbers:
        import numpy as np

        smallest = np.empty((len(self.a), len(edges)), np.uint64)
        halves = h >> np.uint64(32), h & np.uint64(2**32 - 1)
        for at, (a, b) in enumerate(zip(self.a, self.b, strict=True)):
            np.minimum.reduceat(self._values(*halves, int(a), b), edges, out=smallest[at])
        return smallest

    def _values(self, h_high: Numbers, h_low: Numbers, a: int, b: np.uint64) -> Numbers:
        """Return ``(a·h + b) mod p``, from products of halves of 32 bits: 2⁶¹ is 1 and 2⁶⁴ is 8."""
        import numpy as np

        prime, bits = np.uint64(WIDE_PRIME), np.uint64(61)
        a_high, a_low = np.uint64(a >> 32), np.uint64(a % 2**32)
        total, product, part = self._room[:, : len(h_low)]
        # 2⁶⁴ times the product of the upper halves.
        np.multiply(h_high, a_high << np.uint64(3), out=total)
        # 2³² times those of one upper and one lower half, below 2⁶²: what of it is beyond 2⁶¹ comes round to the lowest bits.
        np.multiply(h_low, a_high, out=product)
        np.multiply(h_high, a_low, out=part)
        np.add(product, part, out=product)
        np.right_shift(product, np.uint64(29), out=part)
        np.add(total, part, out=total)
        np.bitwise_and(product, np.uint64(2**29 - 1), out=product)
        np.left_shift(product, np.uint64(32), out=product)
        np.add(total, product, out=total)
        np.multiply(h_low, a_low, out=product)
        np.right_shift(product, bits, out=part)
        np.add(total, part, out=total)
        np.bitwise_and(product, prime, out=product)
        np.add(total, product, out=total)
        np.add(total, b, out=total)
        np.right_shift(total, bits, out=part)
        np.bitwise_and(total, prime, out=total)
        np.add(total, part, out=total)
        # Of x and x - p the smaller one is x mod p, as a negative one wraps around to a large one.
        np.subtract(total, prime, out=part)
        return np.minimum(total, part, out=total)
