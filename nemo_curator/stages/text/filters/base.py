"""`DocumentFilter`: a score for a document, and a rule that says which scores are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

__all__ = ["DocumentFilter"]


class DocumentFilter(ABC):
    """Scores documents and decides by the score alone which of them are kept.

    `Score`, `Filter` and `ScoreFilter` make stages of it. A filter must be picklable; what is not (a model) is loaded in
    `load_model`. The same text must get the same score on every worker.

    Attributes:
        _name: Name of the filter, if it is not to be the name of the class.
    """

    _name: str | None = None
    _sentences: list[str] | None = None
    _paragraphs: list[str] | None = None
    _ngrams: dict[str, int] | None = None

    @abstractmethod
    def score_document(self, text: str) -> Any:
        """Return the score of one document."""

    @abstractmethod
    def keep_document(self, scores: Any) -> bool:
        """Say whether a document with that score is kept."""

    def score_many(self, texts: Sequence[str]) -> Sequence[Any]:
        """Return the scores of several documents, in order; a list or a one-dimensional array.

        Override it where many at once are faster; it must return what `score_document` returns for each.
        """
        score = self.score_document
        return [score(text) for text in texts]

    def drop_reason(self, score: Any) -> str:
        """Return the reason under which the report counts a document dropped for that score; the filter's name."""
        return self.name

    def model_check_or_download(self) -> None:  # noqa: B027 - optional
        """Make sure that the files of a model are on this machine. Once per stage and node, before `load_model`."""

    def load_model(self) -> None:  # noqa: B027 - optional
        """Load a model. Once per worker, before the first score."""

    def load_tokenizer(self) -> None:  # noqa: B027 - optional
        """Load a tokenizer. Once per worker, before the first score."""

    @property
    def name(self) -> str:
        """Name of the filter in stage names and reports."""
        return self._name or type(self).__name__

    @property
    def sentences(self) -> list[str] | None:
        """Lines of the document about to be scored, used instead of splitting the text again; `None` to split it."""
        return self._sentences

    @sentences.setter
    def sentences(self, sentences: list[str] | None) -> None:
        self._sentences = sentences

    @property
    def paragraphs(self) -> list[str] | None:
        """Paragraphs of the document about to be scored, used instead of splitting the text again; `None` to split it."""
        return self._paragraphs

    @paragraphs.setter
    def paragraphs(self, paragraphs: list[str] | None) -> None:
        self._paragraphs = paragraphs

    @property
    def ngrams(self) -> dict[str, int] | None:
        """N-grams of the document about to be scored, with their counts; `None` to count them."""
        return self._ngrams

    @ngrams.setter
    def ngrams(self, ngrams: dict[str, int] | None) -> None:
        self._ngrams = ngrams
