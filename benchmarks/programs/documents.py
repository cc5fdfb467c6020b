"""What is done to every document by all alternatives: a score, and the decision to keep it. Standard library only."""

from __future__ import annotations

import re

__all__ = ["SCORE_FIELD", "failed_rules", "is_kept"]

SCORE_FIELD = "failed_rules"
"""The kept documents are written with their score under this name."""

_URL = re.compile(r"https?://\S+|www\.\S+")
_SYMBOL = re.compile(r"[#{}<>\[\]|\\=~^*_@$%]")

_MIN_WORDS, _MAX_WORDS = 50, 100_000
_MIN_MEAN, _MAX_MEAN = 3, 10
_MAX_SYMBOLS_PER_WORD = 0.1
_MAX_URLS_PER_WORD = 0.02


def failed_rules(text: str) -> int:
    """Return how many of four rules a text breaks: number of words, their mean length, symbols and URLs per word."""
    words = text.split()
    count = len(words) or 1
    mean = sum(map(len, words)) / count
    return (
        (not _MIN_WORDS <= len(words) <= _MAX_WORDS)
        + (not _MIN_MEAN <= mean <= _MAX_MEAN)
        + (len(_SYMBOL.findall(text)) / count > _MAX_SYMBOLS_PER_WORD)
        + (len(_URL.findall(text)) / count > _MAX_URLS_PER_WORD)
    )


def is_kept(score: int) -> bool:
    """Say whether a text with that score is kept: it breaks no rule."""
    return score == 0
