"""Rules about what occurs in a text: URLs, or a string of the user's."""

from __future__ import annotations

import re

from nemo_curator.stages.text.filters.base import DocumentFilter
from nemo_curator.stages.text.filters.heuristic.string.marks import URL_PATTERN

__all__ = ["PornographicUrlsFilter", "SubstringFilter", "UrlsFilter"]

_POSITIONS = {"prefix": str.startswith, "suffix": str.endswith, "any": str.__contains__}


class UrlsFilter(DocumentFilter):
    """Keeps texts that are not mere lists of links. The empty text has the share 1.0.

    Args:
        max_url_to_text_ratio: Share of the characters that may belong to URLs.
        url_regex: Regular expression of a URL, in place of the default.
    """

    _name = "urls_ratio"

    def __init__(self, max_url_to_text_ratio: float = 0.2, url_regex: str | None = None) -> None:
        self._max_ratio = max_url_to_text_ratio
        self._url = URL_PATTERN if url_regex is None else re.compile(url_regex)

    def score_document(self, text: str) -> float:
        """Return the share of the characters that belong to URLs."""
        if not text:
            return 1.0
        return sum(url.end() - url.start() for url in self._url.finditer(text)) / len(text)

    def keep_document(self, scores: float) -> bool:
        """Keep up to the limit."""
        return scores <= self._max_ratio


class PornographicUrlsFilter(DocumentFilter):
    """Keeps texts without a URL that contains "porn", in any case.

    Args:
        url_regex: Regular expression of a URL, in place of the default.
    """

    def __init__(self, url_regex: str | None = None) -> None:
        self._url = URL_PATTERN if url_regex is None else re.compile(url_regex)

    def score_document(self, text: str) -> int:
        """Return 1 if there is such a URL, else 0."""
        if "porn" not in text.lower():
            return 0
        return int(any("porn" in url.group().lower() for url in self._url.finditer(text)))

    def keep_document(self, scores: int) -> bool:
        """Keep what has none."""
        return scores != 1


class SubstringFilter(DocumentFilter):
    """Keeps texts that have a string at a place.

    Args:
        substring: The string, taken literally.
        position: ``prefix``, ``suffix`` or ``any``.

    Raises:
        ValueError: Another position.
    """

    def __init__(self, substring: str, position: str) -> None:
        if position not in _POSITIONS:
            message = f"position must be one of {', '.join(_POSITIONS)}; got {position!r}"
            raise ValueError(message)
        self._substring = substring
        self._occurs = _POSITIONS[position]

    def score_document(self, text: str) -> int:
        """Return 1 if the string is there, else 0."""
        return int(self._occurs(text, self._substring))

    def keep_document(self, scores: int) -> bool:
        """Keep what has it."""
        return scores == 1
