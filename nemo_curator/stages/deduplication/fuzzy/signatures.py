"""MinHash signatures of texts: short rows of numbers of which as large a share agrees as their texts have n-grams in common.

The chance that two sets agree in the smallest hash of their members is their Jaccard similarity, the size of what is in both by the size of
what is in either (Broder, "On the resemblance and containment of documents", 1997). A signature has the smallest value under each of many
hash functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nemo_curator.stages.deduplication.fuzzy.hash_functions import PRIME, WIDE_PRIME, NarrowFunctions, WideFunctions
from nemo_curator.stages.deduplication.fuzzy.murmur import murmur3_32, murmur3_64
from nemo_curator.stages.deduplication.shuffle import same_as_before, sorted_distinct

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Bytes = npt.NDArray[np.uint8]
    Hashes = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]

__all__ = ["MinHasher"]

# Bytes of text that are hashed at a time: what fits the caches of a core.
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of a text: all of it, or so much that pieces can be dealt with one by one."""

    document: int
    start: int
    stop: int
    is_whole: bool


class MinHasher:
    """Makes signatures with the functions ``(a·h + b) mod p``, with p = 2³¹-1, or 2⁶¹-1, and h the MurmurHash3 of an n-gram.

    The same arguments give the same functions on every machine: `a` and `b` are drawn by ``numpy.random.RandomState(seed)``, and the
    first `a` is the seed of MurmurHash3, as far as that takes one of 32 bits.

    Args:
        num_hashes: Numbers in a signature.
        char_ngrams: Characters (code points) in an n-gram. A shorter text is its own only n-gram.
        seed: Of the functions.
        wide: Hash to 64 bits, with p = 2⁶¹-1: for texts of so many n-grams that some would share a hash of 32. It takes five to eight times as long.
    """

    def __init__(self, num_hashes: int, char_ngrams: int, seed: int, wide: bool = False) -> None:
        import numpy as np

        chance = np.random.RandomState(seed)
        prime = WIDE_PRIME if wide else PRIME
        self.a = chance.randint(1, prime, num_hashes, dtype=np.int64).astype(np.uint64)
        self.b = chance.randint(0, prime, num_hashes, dtype=np.int64).astype(np.uint64)
        self.char_ngrams = char_ngrams
        self.wide = wide

    @property
    def dtype(self) -> Any:
        """Of the numbers of a signature: uint32 or uint64."""
        import numpy as np

        return np.uint64 if self.wide else np.uint32

    def signatures(self, texts: pa.LargeStringArray) -> Hashes:
        """Return the signatures of texts.

        Args:
            texts: An Arrow array of n texts without nulls.

        Returns:
            Shape (n, num_hashes), values below p.
        """
        import numpy as np

        data, offsets = _buffers(texts)
        found = np.full((len(texts), len(self.a)), np.iinfo(self.dtype).max, self.dtype)
        murmur, seed = murmur3_64 if self.wide else murmur3_32, int(self.a[0]) % 2**32
        functions = WideFunctions(self.a, self.b) if self.wide else NarrowFunctions(self.a, self.b)
        for pieces in self._batches(data, offsets):
            content = np.concatenate([data[piece.start : piece.stop] for piece in pieces])
            starts, lengths, counts = self._ngrams(content, pieces)
            hashes = murmur(content, starts, lengths, seed)
            having = np.flatnonzero(counts)
            edges = (np.cumsum(counts) - counts)[having]
            # A batch has one piece of a text, but the next one may have more of it.
            rows = np.array([piece.document for piece in pieces])[having]
            found[rows] = np.minimum(found[rows], functions.smallest(hashes, edges).T)
        return found

    def shingles(self, texts: pa.LargeStringArray) -> list[npt.NDArray[np.uint64]]:
        """Return, for every text, the set of its n-grams: their 64-bit hashes, sorted, each once.

        Args:
            texts: An Arrow array without nulls.
        """
        import numpy as np

        data, offsets = _buffers(texts)
        found: list[list[Any]] = [[] for _ in range(len(texts))]
        for pieces in self._batches(data, offsets):
            content = np.concatenate([data[piece.start : piece.stop] for piece in pieces])
            starts, lengths, counts = self._ngrams(content, pieces)
            documents = np.repeat([piece.document for piece in pieces], counts)
            hashes, documents = _distinct(murmur3_64(content, starts, lengths, 0), documents)
            bounds = np.append(np.flatnonzero(np.diff(documents, prepend=-1)), len(documents)).tolist()
            for start, stop in pairwise(bounds):
                found[documents[start]].append(hashes[start:stop])
        return [sets[0] if len(sets) == 1 else sorted_distinct(np.concatenate(sets)) for sets in found]

    def _ngrams(self, content: Bytes, pieces: list[_Piece]) -> tuple[Any, Any, Any]:
        """Return where n-grams begin, how many bytes they have, and how many each piece has, piece by piece."""
        import numpy as np

        n = self.char_ngrams
        bounds = np.cumsum([0, *(piece.stop - piece.start for piece in pieces)])
        # A byte that does not continue a character of UTF-8 begins one.
        characters = np.append(np.flatnonzero((content & 0xC0) != 0x80), len(content))
        firsts = np.searchsorted(characters[:-1], bounds).tolist()
        starts: list[Any] = []
        ends: list[Any] = []
        for at, (piece, (first, last)) in enumerate(zip(pieces, pairwise(firsts), strict=True)):
            if last - first < n and piece.is_whole:
                starts.append(bounds[at : at + 1])
                ends.append(bounds[at + 1 : at + 2])
            else:
                count = max(last - first - n + 1, 0)
                # Pieces lie end to end: what begins behind an n-gram ends it, also where that is in the next piece.
                starts.append(characters[first : first + count])
                ends.append(characters[first + n : first + n + count])
        first_bytes = np.concatenate(starts)
        return first_bytes, np.concatenate(ends) - first_bytes, np.array([len(some) for some in starts])

    def _batches(self, data: Bytes, offsets: list[int]) -> Iterator[list[_Piece]]:
        """Yield pieces of some size together, and never two of the same text: all but the last of one are of that size."""
        batch: list[_Piece] = []
        room = _PIECE
        for piece in self._pieces(data, offsets):
            batch.append(piece)
            room -= piece.stop - piece.start
            if room <= 0:
                yield batch
                batch, room = [], _PIECE
        if batch:
            yield batch

    def _pieces(self, data: Bytes, offsets: list[int]) -> Iterator[_Piece]:
        for document, (start, stop) in enumerate(pairwise(offsets)):
            # A text in pieces must have an n-gram; a character has up to four bytes.
            if stop - start <= max(2 * _PIECE, 4 * self.char_ngrams):
                yield _Piece(document, start, stop, is_whole=True)
                continue
            while start < stop:
                end = _character_from(data, min(start + _PIECE, stop), stop)
                yield _Piece(document, start, self._overlapping(data, end, stop), is_whole=False)
                start = end

    def _overlapping(self, data: Bytes, end: int, stop: int) -> int:
        """Return where the last n-gram ends that begins before `end`: so many characters further, less one."""
        import numpy as np

        wanted = self.char_ngrams - 1
        following = np.flatnonzero((data[end : min(end + 4 * wanted + 4, stop)] & 0xC0) != 0x80)
        return end + int(following[wanted]) if len(following) > wanted else stop


def _distinct(hashes: npt.NDArray[np.uint64], documents: npt.NDArray[np.int64]) -> tuple[Any, npt.NDArray[np.int64]]:
    """Leave out what a document has several times, and sort the others."""
    import numpy as np

    order = np.lexsort((hashes, documents))
    first = order[~same_as_before(documents[order], hashes[order])]
    return hashes[first], documents[first]


def _character_from(data: Bytes, at: int, stop: int) -> int:
    """Return the first position from `at` on at which a character begins."""
    while at < stop and data[at] & 0xC0 == 0x80:
        at += 1
    return at


def _buffers(texts: pa.LargeStringArray) -> tuple[Bytes, list[int]]:
    """Return the bytes of all texts and the offsets of each, from where they lie."""
    import numpy as np

    _, offsets, content = texts.buffers()
    if offsets is None or not len(texts):
        return np.zeros(0, np.uint8), [0]
    bounds = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.zeros(0, np.uint8) if content is None else np.frombuffer(content, np.uint8)
    return data, bounds.tolist()
