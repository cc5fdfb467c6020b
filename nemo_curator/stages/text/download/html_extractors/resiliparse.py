"""Resiliparse: rules about elements and class names; the fastest."""

from __future__ import annotations

from nemo_curator.errors import require
from nemo_curator.stages.text.download.html_extractors.base import HTMLExtractorAlgorithm, with_enough_stop_words
from nemo_curator.stages.text.utils.text_utils import get_paragraphs

__all__ = ["ResiliparseExtractor"]


class ResiliparseExtractor(HTMLExtractorAlgorithm):
    """The text extraction of the package ``resiliparse``.

    Args:
        required_stopword_density: Share of stop words that a paragraph must have.
        main_content: Leave out navigation, footers and the like.
        alt_texts: Take the texts that stand for images.
    """

    def __init__(
        self, required_stopword_density: float = 0.32, main_content: bool = True, alt_texts: bool = False
    ) -> None:
        self._density = required_stopword_density
        self._main_content = main_content
        self._alt_texts = alt_texts

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if the package is not installed."""
        require("resiliparse", extra="text", purpose=type(self).__name__)

    def extract_text(self, html: str, stop_words: frozenset[str], language: str) -> list[str] | None:
        """Return the paragraphs with enough stop words."""
        self.check_before_run()
        from resiliparse.extract.html2text import extract_plain_text

        clean = html.encode("utf-8", "replace").decode("utf-8")  # the parser refuses lone surrogates
        text = extract_plain_text(clean, main_content=self._main_content, alt_texts=self._alt_texts)
        return with_enough_stop_words(get_paragraphs(text), stop_words, language, self._density)
