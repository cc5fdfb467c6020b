"""Rules about repetition, after Gopher (Rae et al. 2021, arXiv 2112.11446, table A1).

Gopher's limits are stated there as the share of what is repeated, and differ with the length of the n-gram; the defaults
here are those of the public NeMo Curator API, and shares of lines and paragraphs are stated as the share of what is unique.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable

from nemo_curator.stages.text.filters.base import DocumentFilter
from nemo_curator.stages.text.utils.ngrams import repeated_ngram_characters
from nemo_curator.stages.text.utils.text_utils import (
    get_ngrams,
    get_paragraphs,
    get_sentences,
    get_word_splitter,
    word_separator,
)

__all__ = [
    "RepeatedLinesByCharFilter",
    "RepeatedLinesFilter",
    "RepeatedParagraphsByCharFilter",
    "RepeatedParagraphsFilter",
    "RepeatingDuplicateNGramsFilter",
    "RepeatingTopNGramsFilter",
]


class _UniqueShareFilter(DocumentFilter):
    """Keeps texts in which at least a share of the lines or paragraphs is unique; without any the share is 0.0."""

    _min_share: float

    @abstractmethod
    def _units(self, text: str) -> list[str]: ...

    def score_document(self, text: str) -> float:
        """Return the number of different units over the number of units."""
        units = self._units(text)
        return len(set(units)) / len(units) if units else 0.0

    def keep_document(self, scores: float) -> bool:
        """Keep from the limit on."""
        return scores >= self._min_share


class _UniqueCharactersFilter(_UniqueShareFilter):
    """The same, with every unit weighted by its length."""

    def score_document(self, text: str) -> float:
        """Return the number of characters in different units over that in all units."""
        units = self._units(text)
        return sum(map(len, set(units))) / sum(map(len, units)) if units else 0.0


class RepeatedLinesFilter(_UniqueShareFilter):
    """Keeps texts most of whose lines are unique (Gopher: duplicate line fraction of at most 0.30)."""

    _name = "repeated_lines"

    def __init__(self, max_repeated_line_fraction: float = 0.7) -> None:
        self._min_share = max_repeated_line_fraction

    def _units(self, text: str) -> list[str]:
        return get_sentences(text) if self._sentences is None else self._sentences


class RepeatedLinesByCharFilter(_UniqueCharactersFilter):
    """Keeps texts most of whose characters are in unique lines (Gopher: at most 0.20 in duplicate lines)."""

    _name = "repeated_lines_char"

    def __init__(self, max_repeated_lines_char_ratio: float = 0.8) -> None:
        self._min_share = max_repeated_lines_char_ratio

    def _units(self, text: str) -> list[str]:
        return get_sentences(text) if self._sentences is None else self._sentences


class RepeatedParagraphsFilter(_UniqueShareFilter):
    """Keeps texts most of whose paragraphs are unique (Gopher: duplicate paragraph fraction of at most 0.30)."""

    _name = "repeated_paragraphs"

    def __init__(self, max_repeated_paragraphs_ratio: float = 0.7) -> None:
        self._min_share = max_repeated_paragraphs_ratio

    def _units(self, text: str) -> list[str]:
        return get_paragraphs(text) if self._paragraphs is None else self._paragraphs


class RepeatedParagraphsByCharFilter(_UniqueCharactersFilter):
    """Keeps texts most of whose characters are in unique paragraphs (Gopher: at most 0.20 in duplicate paragraphs)."""

    _name = "repeated_paragraphs_char"

    def __init__(self, max_repeated_paragraphs_char_ratio: float = 0.8) -> None:
        self._min_share = max_repeated_paragraphs_char_ratio

    def _units(self, text: str) -> list[str]:
        return get_paragraphs(text) if self._paragraphs is None else self._paragraphs


class _NGramFilter(DocumentFilter):
    """Keeps texts in which repeated n-grams have at most a share of the characters."""

    _max_ratio: float

    def __init__(self, n: int, lang: str) -> None:
        if n < 1:
            message = f"an n-gram has at least one word; n is {n}"
            raise ValueError(message)
        self._n = n
        self._split: Callable[[str], list[str]] = get_word_splitter(lang)
        self._between = word_separator(lang)

    def keep_document(self, scores: float) -> bool:
        """Keep up to the limit."""
        return scores <= self._max_ratio


class RepeatingTopNGramsFilter(_NGramFilter):
    """Keeps texts that do not say one thing all the time (Gopher: top 2-, 3- and 4-gram, at most 0.20, 0.18, 0.16).

    The score is the share of the characters that vanish when the most frequent n-gram, its words joined by single spaces,
    is deleted from the text; of equally frequent ones, the first counts. Fewer than `n` words score 1.0.

    Args:
        n: Words of an n-gram.
        max_repeating_ngram_ratio: Highest share that is kept.
        lang: Language, which decides what a word is.
    """

    def __init__(self, n: int = 2, max_repeating_ngram_ratio: float = 0.2, lang: str = "en") -> None:
        super().__init__(n, lang)
        self._max_ratio = max_repeating_ngram_ratio
        self._name = f"repeating_top_{n}grams"

    def score_document(self, text: str) -> float:
        """Return the share of the characters that belong to the most frequent n-gram."""
        top = self._most_frequent(text)
        return text.count(top) * len(top) / len(text) if top else 1.0

    def _most_frequent(self, text: str) -> str:
        if self._ngrams is not None:
            return max(self._ngrams, key=self._ngrams.__getitem__, default="")
        top = Counter(get_ngrams(self._split(text), self._n)).most_common(1)
        return self._between.join(top[0][0]) if top else ""


class RepeatingDuplicateNGramsFilter(_NGramFilter):
    """Keeps texts that do not repeat themselves (Gopher: duplicate 5- to 10-grams, at most 0.15 down to 0.10).

    The score is the share of the characters that are in n-grams which came before, with the spaces inside them; a character
    in several of them counts once. The empty text scores 1.0; fewer than `n` words repeat nothing.

    Args:
        n: Words of an n-gram.
        max_repeating_duplicate_ngram_ratio: Highest share that is kept.
        lang: Language, which decides what a word is.
    """

    def __init__(self, n: int = 2, max_repeating_duplicate_ngram_ratio: float = 0.2, lang: str = "en") -> None:
        super().__init__(n, lang)
        self._max_ratio = max_repeating_duplicate_ngram_ratio
        self._name = f"repeating_dup_{n}gram"

    def score_document(self, text: str) -> float:
        """Return the share of the characters that are in n-grams which came before."""
        words = self._split(text)
        if not words:
            return 1.0
        return repeated_ngram_characters(words, self._n, len(self._between)) / len(text)
