"""Rules about how much of a program is comment (StarCoder, section 3.2: 1 % to 80 % for Python, Java and JavaScript)."""

from __future__ import annotations

from abc import abstractmethod

from nemo_curator.errors import did_you_mean
from nemo_curator.stages.text.filters.base import DocumentFilter
from nemo_curator.stages.text.filters.heuristic.code.scanner import (
    LANGUAGES,
    comment_characters,
    python_comment_characters,
)

__all__ = ["GeneralCommentToCodeFilter", "PythonCommentToCodeFilter"]

_FAILED = 9999.0


class _CommentRatioFilter(DocumentFilter):
    """Keeps programs of whose characters a share within limits is comment."""

    def __init__(self, min_ratio: float, max_ratio: float) -> None:
        self._min, self._max = min_ratio, max_ratio

    @abstractmethod
    def score_document(self, text: str) -> float:
        """Return the share."""

    def keep_document(self, scores: float) -> bool:
        """Keep within the limits, both included."""
        return self._min <= scores <= self._max

    def drop_reason(self, score: float) -> str:
        """Say on which side of the limits the share is, or that there is none."""
        if score == _FAILED:
            return f"{self.name}_unknown"
        return f"{self.name}_{'low' if score < self._min else 'high'}"


class PythonCommentToCodeFilter(_CommentRatioFilter):
    """Keeps Python programs that are explained: comments, and strings that stand alone such as docstrings, over all characters.

    What does not parse, and the empty text, score 0. The report counts what is dropped as ``python_comment_ratio_low`` and ``_high``.

    Args:
        min_comment_to_code_ratio: Lowest share that is kept.
        max_comment_to_code_ratio: Highest.
    """

    _name = "python_comment_ratio"

    def __init__(self, min_comment_to_code_ratio: float = 0.01, max_comment_to_code_ratio: float = 0.85) -> None:
        super().__init__(min_comment_to_code_ratio, max_comment_to_code_ratio)

    def score_document(self, text: str) -> float:
        """Return the share."""
        characters = python_comment_characters(text)
        return characters / len(text) if characters else 0.0


class GeneralCommentToCodeFilter(_CommentRatioFilter):
    """The same for other languages, whose comments are found by their marks.

    A comment that is not closed, Python that does not parse, and the empty text score 9999. The report counts what is dropped as
    ``comment_ratio_low``, ``_high`` and ``_unknown``.

    Args:
        language: MIME type of the language, such as ``text/x-java``.
        min_comment_to_code_ratio: Lowest share that is kept.
        max_comment_to_code_ratio: Highest.

    Raises:
        ValueError: Another language; the message names those that are known.
    """

    _name = "comment_ratio"

    def __init__(
        self, language: str, min_comment_to_code_ratio: float = 0.01, max_comment_to_code_ratio: float = 0.85
    ) -> None:
        super().__init__(min_comment_to_code_ratio, max_comment_to_code_ratio)
        if language not in LANGUAGES:
            message = (
                f"comments are not known for language {language!r}; known: {', '.join(LANGUAGES)}."
                f"{did_you_mean(str(language), LANGUAGES)}"
            )
            raise ValueError(message)
        self._language = language

    def score_document(self, text: str) -> float:
        """Return the share."""
        characters = comment_characters(text, self._language) if text else None
        return _FAILED if characters is None else characters / len(text)
