"""jusText: paragraphs are judged by their length, links and stop words, and by what is around them."""

from __future__ import annotations

from typing import Any

from nemo_curator.errors import require
from nemo_curator.stages.text.download.html_extractors.base import UNSPACED_LANGUAGES, HTMLExtractorAlgorithm

__all__ = ["JusTextExtractor"]


class JusTextExtractor(HTMLExtractorAlgorithm):
    """The algorithm of Jan Pomikalek's thesis (2011), by the package ``justext``.

    Args:
        length_low: Characters below which a paragraph is short.
        length_high: Characters above which a paragraph with many stop words is good.
        stopwords_low: Share of stop words below which a paragraph is bad.
        stopwords_high: Share of stop words from which a long paragraph is good.
        max_link_density: Share of characters in links above which a paragraph is bad.
        max_heading_distance: Characters after a heading within which good text must follow for the heading to stay.
        no_headings: Treat headings like other paragraphs.
        is_boilerplate: Whether to leave out what was judged to be boilerplate. By default yes, but not in languages where stop
            words cannot be counted.
    """

    def __init__(
        self,
        length_low: int = 70,
        length_high: int = 200,
        stopwords_low: float = 0.30,
        stopwords_high: float = 0.32,
        max_link_density: float = 0.2,
        max_heading_distance: int = 200,
        no_headings: bool = False,
        is_boilerplate: bool | None = None,
    ) -> None:
        self._options: dict[str, Any] = {
            "length_low": length_low,
            "length_high": length_high,
            "stopwords_low": stopwords_low,
            "stopwords_high": stopwords_high,
            "max_link_density": max_link_density,
            "max_heading_distance": max_heading_distance,
            "no_headings": no_headings,
        }
        self._is_boilerplate = is_boilerplate

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if the package is not installed."""
        for package in ("justext", "lxml_html_clean"):  # the first needs the second, and not every version says so
            require(package, extra="text-download", purpose=type(self).__name__)

    def extract_text(self, html: str, stop_words: frozenset[str], language: str) -> list[str] | None:
        """Return the paragraphs that are not boilerplate."""
        self.check_before_run()
        import justext
        from lxml.etree import ParserError

        options = dict(self._options)
        unspaced = language in UNSPACED_LANGUAGES
        if unspaced:
            options["stopwords_low"] = options["stopwords_high"] = 0.0
        drops = not unspaced if self._is_boilerplate is None else self._is_boilerplate
        try:
            # As bytes, because a page that declares an encoding is refused as a string.
            paragraphs = justext.justext(html.encode("utf-8", "replace"), stop_words, encoding="utf-8", **options)
        except ParserError:
            return None  # nothing but white space or comments
        return [part.text for part in paragraphs if part.text and not (drops and part.is_boilerplate)] or None
