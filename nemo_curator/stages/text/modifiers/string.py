"""Modifiers of the surface of a text: white space, quotation marks, markup, links, slices."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nemo_curator.stages.text.modifiers.base import DocumentModifier

__all__ = [
    "LineRemover",
    "MarkdownRemover",
    "NewlineNormalizer",
    "QuotationRemover",
    "Slicer",
    "UrlRemover",
    "WhitespaceNormalizer",
]

_MANY_LF = re.compile(r"\n{3,}")
_MANY_CRLF = re.compile(r"(?:\r\n){3,}")
_URL = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)

# Emphasis opens before and closes after a character that is not white space, so that "2 * 3 * 4" is left alone, and
# underscores inside a word are no emphasis, so that snake_case names are (both as in CommonMark). Classes exclude their own
# delimiters to keep the search linear.
_MARKDOWN = (
    ("**", re.compile(r"\*\*(?=\S)((?:[^*\n]|\*(?!\*))+)(?<=\S)\*\*")),
    ("*", re.compile(r"\*(?=\S)([^*\n]+)(?<=\S)\*")),
    ("_", re.compile(r"(?<!\w)_(?=[^\s_])((?:[^_\n]|(?<=\w)_(?=\w))+)(?<=[^\s_])_(?!\w)")),
    ("](", re.compile(r"\[[^\[\]\n]*\]\(([^()\n]*)\)")),
)


class NewlineNormalizer(DocumentModifier):
    r"""Reduces three or more line ends in a row to two, ``\n`` and ``\r\n`` alike."""

    def modify_document(self, text: str) -> str:
        """Return the text with at most one blank line in a row."""
        if "\n\n\n" in text:
            text = _MANY_LF.sub("\n\n", text)
        return _MANY_CRLF.sub("\r\n\r\n", text) if "\r\n" in text else text


class WhitespaceNormalizer(DocumentModifier):
    """Makes every run of spaces and tabs one space, and removes it at both ends of a line. Line ends stay as they are."""

    def modify_document(self, text: str) -> str:
        """Return the text without superfluous blanks."""
        text = text.replace("\t", " ")
        while "  " in text:  # halves the runs each time, and is several times faster than a pattern
            text = text.replace("  ", " ")
        text = text.strip(" ")
        # A blank between "\r" and "\n" first: without it, they are one line end.
        return text.replace(" \n", "\n").replace(" \r\n", "\r\n").replace("\n ", "\n")


class LineRemover(DocumentModifier):
    """Removes the lines that are equal to one of some strings.

    Args:
        patterns: The lines, without line end; compared exactly.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        if isinstance(patterns, str):
            message = f"patterns must be a list of lines, got the string {patterns!r}"
            raise TypeError(message)
        self._lines = frozenset(patterns)

    def modify_document(self, text: str) -> str:
        """Return the text without those lines."""
        return "\n".join(line for line in text.split("\n") if line not in self._lines)


class MarkdownRemover(DocumentModifier):
    """Removes the marks of ``**bold**``, ``*italic*`` and ``_underlined_`` text, and leaves of ``[text](url)`` the URL.

    Works within lines. Underscores inside words and asterisks between blanks are no marks.
    """

    def modify_document(self, text: str) -> str:
        """Return the text without those marks."""
        for opening, mark in _MARKDOWN:
            if opening in text:
                text = mark.sub(r"\1", text)
        return text


class QuotationRemover(DocumentModifier):
    """Removes the double quotes around a whole text.

    A text of several lines whose first line ends in a quote is left alone: its first quotation ends there.
    """

    def modify_document(self, text: str) -> str:
        """Return what is between the quotes, or the text as it is."""
        inner = text.strip()
        if len(inner) <= 2 or not (inner.startswith('"') and inner.endswith('"')):
            return text
        first, newline, _ = inner.partition("\n")
        return text if newline and first.rstrip().endswith('"') else inner[1:-1]


class UrlRemover(DocumentModifier):
    """Removes everything from ``http://``, ``https://`` or ``www.`` up to the next white space."""

    def modify_document(self, text: str) -> str:
        """Return the text without URLs."""
        lower = text.lower()
        return _URL.sub("", text) if "http" in lower or "www." in lower else text


class Slicer(DocumentModifier):
    """Cuts a part out of the text.

    Args:
        left: Where it begins: an index, or a string, whose first occurrence counts.
        right: Where it ends: an index, which is not included, a string, whose last occurrence counts, or `None` for the end.
        include_left: Keep the string on the left.
        include_right: Keep the string on the right.
        strip: Remove white space around the result.

    The result is empty if one of the strings does not occur.
    """

    def __init__(
        self,
        left: int | str | None = 0,
        right: int | str | None = None,
        include_left: bool = True,
        include_right: bool = True,
        strip: bool = True,
    ) -> None:
        self._left, self._right = left, right
        self._include_left, self._include_right = include_left, include_right
        self._strip = strip

    def modify_document(self, text: str) -> str:
        """Return the part."""
        start, stop = self._left, self._right
        if isinstance(start, str):
            at = text.find(start)
            if at < 0:
                return ""
            start = at if self._include_left else at + len(start)
        if isinstance(stop, str):
            at = text.rfind(stop)
            if at < 0:
                return ""
            stop = at + len(stop) if self._include_right else at
        part = text[start:stop]
        return part.strip() if self._strip else part
