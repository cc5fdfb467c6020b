"""How much of a text is in n-grams that repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

__all__ = ["RepeatedNGrams", "repeated_ngram_characters", "top_ngram_characters"]


class RepeatedNGrams:
    """The n-grams of a text that occur at least twice, for one n after another.

    An n-gram can only repeat where the two shorter ones in it do, so that there is less to look at with every step: after words and
    pairs little is left of most texts.

    Args:
        words: The words of a text.
        gap: Characters between two words.

    Attributes:
        n: Words of an n-gram; 1 at first.
    """

    def __init__(self, words: Sequence[str], gap: int = 1) -> None:
        self.n = 1
        self._gap = gap
        # Where each word would begin if nothing were between words.
        self._begins = list(accumulate(map(len, words), initial=0))
        # By the place of an n-gram that occurs at least twice, in order: which one it is.
        counts = Counter(words)
        self._places: dict[int, object] = {place: word for place, word in enumerate(words) if counts[word] > 1}

    def grow_to(self, n: int) -> RepeatedNGrams:
        """Go on to n-grams of `n` words; never back. Returns itself."""
        while self.n < n:
            places = self._places
            pairs = [(place, (which, places[place + 1])) for place, which in places.items() if place + 1 in places]
            counts = Counter([pair for _, pair in pairs])
            names: dict[object, int] = {}
            self._places = {place: names.setdefault(pair, len(names)) for place, pair in pairs if counts[pair] > 1}
            self.n += 1
        return self

    def top_characters(self) -> int:
        """Return the characters in all occurrences of the most frequent n-gram, with the gaps inside it; 0 if none repeats.

        Of equally frequent ones the longest counts.
        """
        counts = Counter(self._places.values())
        most = max(counts.values(), default=0)
        begins, n = self._begins, self.n
        lengths = [begins[at + n] - begins[at] for at, which in self._places.items() if counts[which] == most]
        return most * (max(lengths) + self._gap * (n - 1)) if lengths else 0

    def repeated_characters(self) -> int:
        """Return the characters in n-grams that came before, with the gaps inside them; what is in several counts once."""
        begins = self._begins
        seen: set[object] = set()
        total = covered = 0
        for start, which in self._places.items():
            if which not in seen:
                seen.add(which)
                continue
            stop = start + self.n
            first = max(start, covered)
            # Where a run of repeated words begins, there is one gap fewer than words; where it goes on, as many.
            total += begins[stop] - begins[first] + self._gap * (stop - first - (start >= covered))
            covered = stop
        return total


def top_ngram_characters(words: Sequence[str], n: int, gap: int = 1) -> int:
    """Return `RepeatedNGrams.top_characters` of one n."""
    return RepeatedNGrams(words, gap).grow_to(n).top_characters()


def repeated_ngram_characters(words: Sequence[str], n: int, gap: int = 1) -> int:
    """Return `RepeatedNGrams.repeated_characters` of one n."""
    return RepeatedNGrams(words, gap).grow_to(n).repeated_characters()
