"""Rules about words: how many, how long, of what."""

from __future__ import annotations

from itertools import filterfalse

from nemo_curator.stages.text.filters.base import DocumentFilter
from nemo_curator.stages.text.filters.heuristic.string.marks import COMMON_ENGLISH_WORDS, ELLIPSIS_MARKS
from nemo_curator.stages.text.utils.text_utils import get_word_splitter

__all__ = [
    "CommonEnglishWordsFilter",
    "LongWordFilter",
    "MeanWordLengthFilter",
    "SymbolsToWordsFilter",
    "WordCountFilter",
    "WordsWithoutAlphabetsFilter",
]

_ELLIPSIS_WORDS = frozenset(mark for mark in ELLIPSIS_MARKS if " " not in mark)


class WordCountFilter(DocumentFilter):
    """Keeps texts with a number of words within limits (Gopher: 50 to 100,000).

    The report counts what it drops as ``word_count_low`` and ``word_count_high``.
    """

    _name = "word_count"

    def __init__(self, min_words: int = 50, max_words: int = 100_000, lang: str = "en") -> None:
        self._min, self._max = min_words, max_words
        self._split = get_word_splitter(lang)

    def score_document(self, text: str) -> int:
        """Return the number of words."""
        return len(self._split(text))

    def keep_document(self, scores: int) -> bool:
        """Keep within the limits, both included."""
        return self._min <= scores <= self._max

    def drop_reason(self, score: int) -> str:
        """Say on which side of the limits the count is."""
        return f"{self.name}_{'low' if score < self._min else 'high'}"


class MeanWordLengthFilter(DocumentFilter):
    """Keeps texts whose words have a usual length (Gopher: a mean of 3 to 10 characters). Without words the mean is 0.

    The report counts what it drops as ``mean_word_length_low`` and ``mean_word_length_high``.
    """

    _name = "mean_word_length"

    def __init__(self, min_mean_word_length: float = 3, max_mean_word_length: float = 10, lang: str = "en") -> None:
        self._min, self._max = min_mean_word_length, max_mean_word_length
        self._split = get_word_splitter(lang)

    def score_document(self, text: str) -> float:
        """Return the mean number of characters of a word."""
        words = self._split(text)
        return len("".join(words)) / len(words) if words else 0.0

    def keep_document(self, scores: float) -> bool:
        """Keep within the limits, both included."""
        return self._min <= scores <= self._max

    def drop_reason(self, score: float) -> str:
        """Say on which side of the limits the mean is."""
        return f"{self.name}_{'low' if score < self._min else 'high'}"


class LongWordFilter(DocumentFilter):
    """Keeps texts without overlong words, which are data or code rather than language. Without words the longest has 0."""

    _name = "max_word_length"

    def __init__(self, max_word_length: int = 1000, lang: str = "en") -> None:
        self._max = max_word_length
        self._split = get_word_splitter(lang)

    def score_document(self, text: str) -> int:
        """Return the length of the longest word."""
        return max(map(len, self._split(text)), default=0)

    def keep_document(self, scores: int) -> bool:
        """Keep up to the limit."""
        return scores <= self._max


class SymbolsToWordsFilter(DocumentFilter):
    """Keeps texts with few hash signs and ellipses among their words (Gopher: a ratio of at most 0.1).

    A word counts as a symbol if it is an ellipsis mark or if more than half of its characters are ``#``.
    """

    _name = "symbol_to_word"

    def __init__(self, max_symbol_to_word_ratio: float = 0.1, lang: str = "en") -> None:
        self._max = max_symbol_to_word_ratio
        self._split = get_word_splitter(lang)

    def score_document(self, text: str) -> float:
        """Return the share of the words that are symbols."""
        words = self._split(text)
        if not words:
            return 1.0
        symbols = sum(words.count(mark) for mark in _ELLIPSIS_WORDS if mark in text)
        if "#" in text:
            symbols += sum(word.count("#") * 2 > len(word) for word in words if "#" in word)
        return symbols / len(words)

    def keep_document(self, scores: float) -> bool:
        """Keep up to the limit."""
        return scores <= self._max


class CommonEnglishWordsFilter(DocumentFilter):
    """Keeps texts with at least a few of the commonest English words (Gopher: two of eight), in lower case.

    Args:
        min_num_common_words: Occurrences that are needed; of the same word count too.
        stop_at_false: Count no further than that; the score is then the number needed.
    """

    _name = "common_english_words"

    def __init__(self, min_num_common_words: int = 2, stop_at_false: bool = True) -> None:
        self._min = min_num_common_words
        self._stop = stop_at_false

    def score_document(self, text: str) -> int:
        """Return the number of occurrences."""
        found = 0
        for word in text.split():
            if word in COMMON_ENGLISH_WORDS:
                found += 1
                if self._stop and found >= self._min:
                    break
        return found

    def keep_document(self, scores: int) -> bool:
        """Keep from the limit on."""
        return scores >= self._min


class WordsWithoutAlphabetsFilter(DocumentFilter):
    """Keeps texts most of whose words have a letter of some script (Gopher: at least 80 %)."""

    _name = "words_without_alphabets"

    def __init__(self, min_words_with_alphabets: float = 0.8, lang: str = "en") -> None:
        self._min = min_words_with_alphabets
        self._split = get_word_splitter(lang)

    def score_document(self, text: str) -> float:
        """Return the share of the words that have a letter."""
        words = self._split(text)
        if not words:
            return 0.0
        # Most words are letters only, and most others begin with one: few are left for the loop over characters.
        rest = [word for word in filterfalse(str.isalpha, words) if not word[0].isalpha()]
        without = sum(not any(map(str.isalpha, word)) for word in rest)
        return (len(words) - without) / len(words)

    def keep_document(self, scores: float) -> bool:
        """Keep from the limit on."""
        return scores >= self._min
