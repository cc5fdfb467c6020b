"""MurmurHash3 (x86, 32 bits; and x64, 128 bits, of which the first 64) of many slices of one buffer at a time.

The algorithm is Austin Appleby's, who placed it in the public domain (MurmurHash3.cpp, 2011). Here every step of it is done for all slices
at once: hashing a million short slices costs a hundred passes over arrays instead of a million calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["murmur3_32", "murmur3_64"]

_C1, _C2, _ADD = 0xCC9E2D51, 0x1B873593, 0xE6546B64
_MIX1, _MIX2 = 0x85EBCA6B, 0xC2B2AE35


def murmur3_32(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.uint32]:
    """Return the hash of ``data[start : start + length]`` for every slice.

    Args:
        data: Bytes, shape (n,).
        starts: First bytes, shape (m,), from 0 to n.
        lengths: Numbers of bytes, shape (m,); slices may overlap and be empty.
        seed: From 0 to 2³²-1.

    Returns:
        Hashes, shape (m,).
    """
    import numpy as np

    if not len(starts):
        return np.zeros(0, np.uint32)
    words = _words_from_everywhere(data, np.uint32, len(data) + 1)
    # Slices overlap: what is done to a word before it is mixed in is done once for all of them.
    scrambled = _scrambled(words)
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest == longest:
        return _of_sorted(words, scrambled, starts, lengths, seed)
    # The longest come last, so that those that go on are the end of the array.
    order = np.argsort(lengths.astype(np.min_scalar_type(longest)), kind="stable")
    hashes = np.empty(len(starts), np.uint32)
    hashes[order] = _of_sorted(words, scrambled, starts[order], lengths[order], seed)
    return hashes


def _of_sorted(words: Any, scrambled: Any, starts: Any, lengths: Any, seed: int) -> npt.NDArray[np.uint32]:
    """Return the hashes of slices that are sorted by length."""
    import numpy as np

    blocks = int(lengths[-1]) >> 2
    going_on = np.searchsorted(lengths, 4 * np.arange(1, blocks + 1)).tolist()
    hashes = np.full(len(starts), seed, np.uint32)
    # In place, and not by `_rotated`: new arrays at every step would cost an eighth more.
    mixed, moved = np.empty_like(hashes), np.empty_like(hashes)
    for block, first in enumerate(going_on):
        some, word, spare = hashes[first:], mixed[first:], moved[first:]
        # Every index is good; with "clip" that is not looked at first.
        scrambled[4 * block :].take(starts[first:], out=word, mode="clip")
        np.bitwise_xor(some, word, out=some)
        np.right_shift(some, np.uint32(32 - 13), out=spare)
        np.left_shift(some, np.uint32(13), out=some)
        np.bitwise_or(some, spare, out=some)
        np.multiply(some, np.uint32(5), out=some)
        np.add(some, np.uint32(_ADD), out=some)
    rest = (lengths & 3).astype(np.uint32)
    if rest.any():
        # What is left of so many bytes: none of none, up to three of four.
        mask = (np.uint32(1) << (rest << np.uint32(3))) - np.uint32(1)
        hashes ^= _scrambled(words.take(starts + (lengths & ~3), mode="clip") & mask)
    return _finished(hashes ^ lengths.astype(np.uint32))


def _words_from_everywhere(data: npt.NDArray[np.uint8], kind: type[Any], size: int) -> Any:
    """Return the bytes from each of `size` positions on as one little-endian word of that kind, zeros behind the end: blocks begin anywhere."""
    import numpy as np

    dtype = np.dtype(kind).newbyteorder("<")
    padded = np.concatenate([data, np.zeros(size + dtype.itemsize - 1 - len(data), np.uint8)])
    return np.ndarray(size, dtype, padded.data, strides=(1,)).astype(kind)


def _rotated(values: npt.NDArray[np.uint32], bits: int) -> npt.NDArray[np.uint32]:
    import numpy as np

    return (values << np.uint32(bits)) | (values >> np.uint32(32 - bits))


def _scrambled(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    import numpy as np

    return _rotated(words * np.uint32(_C1), 15) * np.uint32(_C2)


def _finished(hashes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    import numpy as np

    hashes = (hashes ^ (hashes >> np.uint32(16))) * np.uint32(_MIX1)
    hashes = (hashes ^ (hashes >> np.uint32(13))) * np.uint32(_MIX2)
    return hashes ^ (hashes >> np.uint32(16))


_WIDE1, _WIDE2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
_WIDE_ADD1, _WIDE_ADD2 = 0x52DCE729, 0x38495AB5
_WIDE_MIX1, _WIDE_MIX2 = 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53


def murmur3_64(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.uint64]:
    """Return the first eight bytes of the 128-bit hash of ``data[start : start + length]`` for every slice.

    Args:
        data: Bytes, shape (n,).
        starts: First bytes, shape (m,), from 0 to n.
        lengths: Numbers of bytes, shape (m,); slices may overlap and be empty.
        seed: From 0 to 2³²-1.

    Returns:
        Hashes, shape (m,).
    """
    import numpy as np

    # The second half of a block begins eight bytes after the first.
    words = _words_from_everywhere(data, np.uint64, len(data) + 9)
    first = np.full(len(starts), seed, np.uint64)
    second = first.copy()
    blocks = lengths >> 4
    for block in range(int(blocks.max()) if len(blocks) else 0):
        longer = np.flatnonzero(blocks > block)
        at = starts[longer] + 16 * block
        first[longer], second[longer] = _wide_block(first[longer], second[longer], words[at], words[at + 8])
    tails, rest = starts + 16 * blocks, lengths & 15
    low = words[tails] & _wide_masks(np.minimum(rest, 8))
    high = words[tails + 8] & _wide_masks(np.maximum(rest - 8, 0))
    second ^= _wide_scrambled(high, 33, _WIDE2, _WIDE1)
    first ^= _wide_scrambled(low, 31, _WIDE1, _WIDE2)
    length = lengths.astype(np.uint64)
    first, second = first ^ length, second ^ length
    first = first + second
    second = second + first
    return _wide_finished(first) + _wide_finished(second)


def _wide_block(first: Any, second: Any, low: Any, high: Any) -> tuple[Any, Any]:
    import numpy as np

    first = _wide_rotated(first ^ _wide_scrambled(low, 31, _WIDE1, _WIDE2), 27) + second
    first = first * np.uint64(5) + np.uint64(_WIDE_ADD1)
    second = _wide_rotated(second ^ _wide_scrambled(high, 33, _WIDE2, _WIDE1), 31) + first
    return first, second * np.uint64(5) + np.uint64(_WIDE_ADD2)


def _wide_scrambled(words: Any, bits: int, before: int, after: int) -> Any:
    import numpy as np

    return _wide_rotated(words * np.uint64(before), bits) * np.uint64(after)


def _wide_rotated(values: Any, bits: int) -> Any:
    import numpy as np

    return (values << np.uint64(bits)) | (values >> np.uint64(64 - bits))


def _wide_finished(hashes: Any) -> Any:
    import numpy as np

    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(_WIDE_MIX1)
    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(_WIDE_MIX2)
    return hashes ^ (hashes >> np.uint64(33))


def _wide_masks(kept: npt.NDArray[np.int64]) -> Any:
    """Return what leaves so many bytes of a word, from 0 to 8."""
    import numpy as np

    return np.array([(1 << 8 * bytes_) - 1 for bytes_ in range(9)], np.uint64)[kept]
