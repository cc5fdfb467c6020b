"""How much of a text is in n-grams that repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from nemo_curator.stages.text.utils.text_utils import get_ngrams

__all__ = ["repeated_ngram_characters", "top_ngram_characters"]


def top_ngram_characters(words: Sequence[str], n: int, gap: int = 1) -> int:
    """Return the characters in all occurrences of the most frequent n-gram, with the gaps inside it.

    Of equally frequent ones the longest counts. An n-gram that occurs once repeats nothing: without another the result is 0.

    Args:
        words: The words of a text.
        n: Words of an n-gram.
        gap: Characters between two words.
    """
    counts = Counter(get_ngrams(words, n))
    most = max(counts.values(), default=0)
    if most < 2:
        return 0
    longest = max(sum(map(len, ngram)) for ngram, count in counts.items() if count == most)
    return most * (longest + gap * (n - 1))


def repeated_ngram_characters(words: Sequence[str], n: int, gap: int = 1) -> int:
    """Return the characters in n-grams that came before, with the gaps inside them; what is in several of them counts once.

    Args:
        words: The words of a text.
        n: Words of an n-gram.
        gap: Characters between two words.
    """
    ngrams = list(get_ngrams(words, n))
    if len(set(ngrams)) == len(ngrams):
        return 0
    ends = list(accumulate((len(word) + gap for word in words), initial=0))
    seen: set[tuple[str, ...]] = set()
    total = covered = 0
    for start, ngram in enumerate(ngrams):
        if ngram not in seen:
            seen.add(ngram)
            continue
        stop = start + n
        total += ends[stop] - ends[max(start, covered)]
        if start >= covered:  # a run of repeated words begins: the gap after its last word is not inside it
            total -= gap
        covered = stop
    return total
