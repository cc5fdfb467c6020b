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
# With more bytes to a slice it is faster to look up the words of each. Texts have one byte a character, or two or three.
_BYTES_A_SLICE = 1.8
_SAMPLE = 1000


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
    if len(data) > _BYTES_A_SLICE * len(starts):
        return _of_slices(words, scrambled, starts, lengths, np.full(len(starts), seed, np.uint32), 0)
    return _of_most_bytes(words, scrambled, starts, lengths, seed)


def _of_most_bytes(words: Any, scrambled: Any, starts: Any, lengths: Any, seed: int) -> npt.NDArray[np.uint32]:
    """Return the hashes of slices of which one begins at almost every byte, as n-grams do, and many have the same length.

    Of that length the slices at all bytes are hashed, as nothing need be looked up for that, and the wanted ones are taken out. Longer ones
    go on with what has been made of their first bytes.
    """
    import numpy as np

    # A sample tells which it is well enough.
    usual = int(np.bincount(lengths[:: -(-len(lengths) // _SAMPLE)]).argmax())
    blocks, rest = usual >> 2, usual & 3
    size = len(words) - 4 * blocks
    begun = np.full(size, seed, np.uint32)
    spare = np.empty_like(begun)
    for block in range(blocks):
        _mix_in(scrambled[4 * block : 4 * block + size], begun, spare)
    hashes = begun
    if rest:
        hashes = begun ^ _scrambled(words[4 * blocks :] & np.uint32((1 << 8 * rest) - 1))
    hashes = _finished(hashes ^ np.uint32(usual)).take(starts, mode="clip")
    others = np.flatnonzero(lengths != usual)
    going_on = lengths[others] >= 4 * blocks
    for some, done in ((others[going_on], blocks), (others[~going_on], 0)):
        if len(some):
            first = starts[some]
            state = begun.take(first) if done else np.full(len(some), seed, np.uint32)
            hashes[some] = _of_slices(words, scrambled, first, lengths[some], state, done)
    return hashes


def _of_slices(
    words: Any, scrambled: Any, starts: Any, lengths: Any, state: npt.NDArray[np.uint32], done: int
) -> npt.NDArray[np.uint32]:
    """Return the hashes of slices, given what has been made of their first `done` blocks of four bytes."""
    import numpy as np

    # The longest come last, so that those that go on are the end of the array.
    order = np.argsort(lengths.astype(np.min_scalar_type(int(lengths.max()))), kind="stable")
    starts, lengths, state = starts[order], lengths[order], state[order]
    blocks = np.arange(done, int(lengths[-1]) >> 2)
    mixed, moved = np.empty_like(state), np.empty_like(state)
    for block, first in zip(blocks.tolist(), np.searchsorted(lengths, 4 * blocks + 4).tolist(), strict=True):
        # Every index is good; with "clip" that is not looked at first.
        word = scrambled[4 * block :].take(starts[first:], out=mixed[first:], mode="clip")
        _mix_in(word, state[first:], moved[first:])
    rest = (lengths & 3).astype(np.uint32)
    if rest.any():
        # What is left of so many bytes: none of none, up to three of four.
        mask = (np.uint32(1) << (rest << np.uint32(3))) - np.uint32(1)
        state ^= _scrambled(words.take(starts + (lengths & ~3), mode="clip") & mask)
    hashes = np.empty_like(state)
    hashes[order] = _finished(state ^ lengths.astype(np.uint32))
    return hashes


def _mix_in(word: npt.NDArray[np.uint32], state: npt.NDArray[np.uint32], spare: npt.NDArray[np.uint32]) -> None:
    """Mix a scrambled word into every state, in place: new arrays at every step would cost an eighth more."""
    import numpy as np

    np.bitwise_xor(state, word, out=state)
    _rotate(state, 13, spare)
    np.multiply(state, np.uint32(5), out=state)
    np.add(state, np.uint32(_ADD), out=state)


def _words_from_everywhere(data: npt.NDArray[np.uint8], kind: type[Any], size: int) -> Any:
    """Return the bytes from each of `size` positions on as one little-endian word of that kind, zeros behind the end: blocks begin anywhere."""
    import numpy as np

    dtype = np.dtype(kind).newbyteorder("<")
    padded = np.concatenate([data, np.zeros(size + dtype.itemsize - 1 - len(data), np.uint8)])
    return np.ndarray(size, dtype, padded.data, strides=(1,)).astype(kind)


def _scrambled(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    import numpy as np

    scrambled = words * np.uint32(_C1)
    _rotate(scrambled, 15, np.empty_like(scrambled))
    return np.multiply(scrambled, np.uint32(_C2), out=scrambled)


def _rotate(values: npt.NDArray[np.uint32], bits: int, spare: npt.NDArray[np.uint32]) -> None:
    """Rotate to the left, in place."""
    import numpy as np

    np.right_shift(values, np.uint32(32 - bits), out=spare)
    np.left_shift(values, np.uint32(bits), out=values)
    np.bitwise_or(values, spare, out=values)


def _finished(hashes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return the finished hashes, in the place of those that are given."""
    import numpy as np

    spare = np.empty_like(hashes)
    for bits, factor in ((16, _MIX1), (13, _MIX2), (16, 1)):
        np.right_shift(hashes, np.uint32(bits), out=spare)
        np.bitwise_xor(hashes, spare, out=hashes)
        if factor > 1:
            np.multiply(hashes, np.uint32(factor), out=hashes)
    return hashes


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
