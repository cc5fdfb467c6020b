"""Rules about lines and paragraphs: how they start, how they end, what they say."""

from __future__ import annotations

from abc import abstractmethod

from nemo_curator.stages.text.filters.base import DocumentFilter
from nemo_curator.stages.text.filters.heuristic.string.marks import (
    BULLETS,
    ELLIPSIS_MARKS,
    END_MARKS,
    PLACEHOLDER,
    holds_policy_phrase,
)
from nemo_curator.stages.text.utils.text_utils import get_paragraphs, get_sentences

__all__ = ["BoilerPlateStringFilter", "BulletsFilter", "EllipsisFilter", "PunctuationFilter"]


class _LineRatioFilter(DocumentFilter):
    """Keeps texts in which at most a share of the lines is of a kind. Blank lines do not count; without lines it is 1.0."""

    _max_ratio: float

    @abstractmethod
    def _count(self, lines: list[str]) -> int: ...

    def score_document(self, text: str) -> float:
        """Return the share of the lines that are of the kind."""
        lines = get_sentences(text) if self._sentences is None else self._sentences
        return self._count(lines) / len(lines) if lines else 1.0

    def keep_document(self, scores: float) -> bool:
        """Keep up to the limit."""
        return scores <= self._max_ratio


class BulletsFilter(_LineRatioFilter):
    """Keeps texts that are not mere lists: lines that start with a bullet glyph (Gopher: at most 90 %)."""

    _name = "bullet_ratio"

    def __init__(self, max_bullet_lines_ratio: float = 0.9) -> None:
        self._max_ratio = max_bullet_lines_ratio

    def _count(self, lines: list[str]) -> int:
        return sum(line.lstrip().startswith(BULLETS) for line in lines)


class EllipsisFilter(_LineRatioFilter):
    """Keeps texts that are not mere teasers: lines that end in an ellipsis mark, in any case (Gopher: at most 30 %)."""

    _name = "ellipsis"

    def __init__(self, max_num_lines_ending_with_ellipsis_ratio: float = 0.3) -> None:
        self._max_ratio = max_num_lines_ending_with_ellipsis_ratio

    def _count(self, lines: list[str]) -> int:
        return sum(line.rstrip().lower().endswith(ELLIPSIS_MARKS) for line in lines)


class PunctuationFilter(_LineRatioFilter):
    """Keeps texts of whole sentences: lines that do not end in one of ``. ? ! " '``.

    C4 drops single lines without a terminal mark; this rule drops texts in which there are too many of them.
    """

    _name = "punctuation"

    def __init__(self, max_num_sentences_without_endmark_ratio: float = 0.85) -> None:
        self._max_ratio = max_num_sentences_without_endmark_ratio

    def _count(self, lines: list[str]) -> int:
        return len(lines) - sum(line.rstrip().endswith(END_MARKS) for line in lines)


class BoilerPlateStringFilter(DocumentFilter):
    """Keeps texts with few paragraphs of legal notices (C4 drops lines with such phrases).

    Placeholder text ("lorem ipsum", as in C4) scores 1.0.

    Args:
        remove_if_at_top_or_bottom: Taken for compatibility with the modifier of the same name; notices count in the score
            wherever they stand.
        max_boilerplate_string_ratio: Share of the paragraphs that may hold a policy phrase.
    """

    _name = "boilerplate_string_ratio"

    def __init__(self, remove_if_at_top_or_bottom: bool = True, max_boilerplate_string_ratio: float = 0.4) -> None:
        self._remove_if_at_top_or_bottom = remove_if_at_top_or_bottom
        self._max_ratio = max_boilerplate_string_ratio

    def score_document(self, text: str) -> float:
        """Return the share of the paragraphs that hold a policy phrase."""
        if PLACEHOLDER in text.lower():
            return 1.0
        paragraphs = get_paragraphs(text) if self._paragraphs is None else self._paragraphs
        if not paragraphs:
            return 1.0
        return sum(map(holds_policy_phrase, paragraphs)) / len(paragraphs) if holds_policy_phrase(text) else 0.0

    def keep_document(self, scores: float) -> bool:
        """Keep up to the limit."""
        return scores <= self._max_ratio
