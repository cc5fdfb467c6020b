"""Rules about the shares of kinds of characters.

They count without looking at characters one by one: bytes of ASCII are deleted from the UTF-8 form in one call, and single
characters are counted by a memory search.
"""

from __future__ import annotations

import re
from abc import abstractmethod

from nemo_curator.stages.text.filters.base import DocumentFilter

__all__ = ["NonAlphaNumericFilter", "NumbersFilter", "ParenthesesFilter", "WhiteSpaceFilter"]

_ALPHA_NUMERIC = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789\n?!,."
_ASCII_DIGITS = b"0123456789"
_WHITE_SPACE = "\t\n\r\b "
_BRACKETS = "{}⟨⟩[]()"
_DIGITS = re.compile(r"\d+")


def _count_ascii(text: str, wanted: bytes) -> int:
    """Return how many characters of `text` are among the ASCII characters `wanted`."""
    # In UTF-8 every byte of a longer character is above 127, so deleting ASCII bytes deletes those characters only.
    data = text.encode("utf-8", "surrogatepass")
    return len(data) - len(data.translate(None, wanted))


class _CharacterRatioFilter(DocumentFilter):
    """Keeps texts in which at most a share of the characters is of a kind; the empty text has the share 1.0."""

    _max_ratio: float

    @abstractmethod
    def _count(self, text: str) -> int: ...

    def score_document(self, text: str) -> float:
        """Return the share of the characters that are of the kind."""
        return self._count(text) / len(text) if text else 1.0

    def keep_document(self, scores: float) -> bool:
        """Keep up to the limit."""
        return scores <= self._max_ratio


class NonAlphaNumericFilter(_CharacterRatioFilter):
    r"""Keeps texts that are mostly of the characters ``[a-zA-Z0-9\n?!,.]``. The space is not one of them.

    Gopher has a like rule, on words with a letter (`WordsWithoutAlphabetsFilter`).
    """

    _name = "alpha_numeric"

    def __init__(self, max_non_alpha_numeric_to_text_ratio: float = 0.25) -> None:
        self._max_ratio = max_non_alpha_numeric_to_text_ratio

    def _count(self, text: str) -> int:
        return len(text) - _count_ascii(text, _ALPHA_NUMERIC)


class NumbersFilter(_CharacterRatioFilter):
    """Keeps texts with few decimal digits, of any script (Unicode category Nd)."""

    _name = "numbers_ratio"

    def __init__(self, max_number_to_text_ratio: float = 0.15) -> None:
        self._max_ratio = max_number_to_text_ratio

    def _count(self, text: str) -> int:
        if text.isascii():
            return _count_ascii(text, _ASCII_DIGITS)
        return sum(map(len, _DIGITS.findall(text)))


class WhiteSpaceFilter(_CharacterRatioFilter):
    """Keeps texts with little white space: tab, line feed, carriage return, backspace, space."""

    _name = "white_space"

    def __init__(self, max_white_space_ratio: float = 0.25) -> None:
        self._max_ratio = max_white_space_ratio

    def _count(self, text: str) -> int:
        return sum(map(text.count, _WHITE_SPACE))


class ParenthesesFilter(_CharacterRatioFilter):
    """Keeps texts with few brackets: ``{}⟨⟩[]()``."""

    _name = "parentheses_ratio"

    def __init__(self, max_parentheses_ratio: float = 0.1) -> None:
        self._max_ratio = max_parentheses_ratio

    def _count(self, text: str) -> int:
        return sum(map(text.count, _BRACKETS))
