"""Rules about the surface of source code and markup (StarCoder, section 3.2)."""

from __future__ import annotations

from nemo_curator.errors import require
from nemo_curator.stages.text.filters.base import DocumentFilter

__all__ = ["AlphaFilter", "HTMLBoilerplateFilter", "NumberOfLinesOfCodeFilter", "XMLHeaderFilter", "alphabetic_share"]

_XML_HEADER = "<?xml version="


def alphabetic_share(text: str) -> float:
    """Return the share of the characters that are letters, of any script; 0.0 of the empty text."""
    return sum(map(str.isalpha, text)) / len(text) if text else 0.0


class NumberOfLinesOfCodeFilter(DocumentFilter):
    """Keeps programs with a number of lines within limits. Blank lines count; the empty text has none.

    The report counts what is dropped as ``num_lines_low`` and ``num_lines_high``.
    """

    _name = "num_lines"

    def __init__(self, min_lines: int = 10, max_lines: int = 20_000) -> None:
        self._min, self._max = min_lines, max_lines

    def score_document(self, text: str) -> int:
        """Return the number of lines."""
        return text.count("\n") + 1 if text else 0

    def keep_document(self, scores: int) -> bool:
        """Keep within the limits, both included."""
        return self._min <= scores <= self._max

    def drop_reason(self, score: int) -> str:
        """Say on which side of the limits the number is."""
        return f"{self.name}_{'low' if score < self._min else 'high'}"


class XMLHeaderFilter(DocumentFilter):
    """Drops XML that goes by the name of another language: ``<?xml version=`` near the beginning (StarCoder: in 100 characters).

    Args:
        char_prefix_search_length: Characters in which it is searched.
    """

    _name = "xml_header"

    def __init__(self, char_prefix_search_length: int = 100) -> None:
        self._length = char_prefix_search_length

    def score_document(self, text: str) -> int:
        """Return 1 if it is there, else 0."""
        return int(_XML_HEADER in text[: self._length])

    def keep_document(self, scores: int) -> bool:
        """Keep what has none."""
        return scores != 1


class AlphaFilter(DocumentFilter):
    """Drops data in the clothes of code: files with few letters, of any script (StarCoder: less than 25 %)."""

    _name = "alpha_filter"

    def __init__(self, min_alpha_ratio: float = 0.25) -> None:
        self._min = min_alpha_ratio

    def score_document(self, text: str) -> float:
        """Return the share of the characters that are letters; 0.0 of the empty text."""
        return alphabetic_share(text)

    def keep_document(self, scores: float) -> bool:
        """Keep from the limit on."""
        return scores >= self._min


class HTMLBoilerplateFilter(DocumentFilter):
    """Keeps HTML that says something: visible text over source (StarCoder: at least 20 %, and 100 characters).

    Args:
        min_lang_content_ratio: Lowest share that is kept.
        min_lang_content_num_chars: A page with less visible text, in characters, scores 0.0.

    Raises:
        MissingExtra: The package that reads HTML is not installed.
    """

    _name = "html_boilerplate"

    def __init__(self, min_lang_content_ratio: float = 0.2, min_lang_content_num_chars: int = 100) -> None:
        require("resiliparse", extra="text", purpose="HTMLBoilerplateFilter")
        self._min_ratio = min_lang_content_ratio
        self._min_characters = min_lang_content_num_chars

    def score_document(self, text: str) -> float:
        """Return the share of the source that is visible text."""
        from resiliparse.extract.html2text import extract_plain_text

        # The parser knows no lone surrogates; what stands for one is a character too.
        source = text.encode("utf-8", "replace").decode("utf-8")
        visible = len(extract_plain_text(source, preserve_formatting=False, alt_texts=False).strip())
        return visible / len(text) if text and visible >= self._min_characters else 0.0

    def keep_document(self, scores: float) -> bool:
        """Keep from the limit on."""
        return scores >= self._min_ratio
