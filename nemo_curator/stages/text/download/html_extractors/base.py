"""`HTMLExtractorAlgorithm`: from HTML to the paragraphs that people want to read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from nemo_curator.stages.text.download.base.part import DownloadPart

__all__ = ["UNSPACED_LANGUAGES", "HTMLExtractorAlgorithm", "with_enough_stop_words"]

UNSPACED_LANGUAGES = frozenset({"THAI", "CHINESE", "JAPANESE", "KOREAN"})
"""Languages in which stop words cannot be counted by cutting at spaces: no spaces, or words with their particles in one."""


class HTMLExtractorAlgorithm(DownloadPart, ABC):
    """Takes the text out of a page and leaves navigation, advertisements and the like. Picklable."""

    @abstractmethod
    def extract_text(self, html: str, stop_words: frozenset[str], language: str) -> list[str] | None:
        """Return the paragraphs of a page, or `None` if there are none.

        Args:
            html: The page.
            stop_words: The commonest words of the language, in lower case: text has many of them, menus have few.
            language: Its name in capitals, as the stop lists have it: ``"ENGLISH"``.
        """


def with_enough_stop_words(
    paragraphs: Iterable[str], stop_words: frozenset[str], language: str, density: float
) -> list[str] | None:
    """Return the paragraphs of whose words at least such a share are stop words; all of them in `UNSPACED_LANGUAGES`."""
    stripped = [text for paragraph in paragraphs if (text := paragraph.strip())]
    if language not in UNSPACED_LANGUAGES:
        stripped = [text for text in stripped if _density(text, stop_words) >= density]
    return stripped or None


def _density(paragraph: str, stop_words: frozenset[str]) -> float:
    words = paragraph.lower().split()
    return sum(map(stop_words.__contains__, words)) / len(words)
