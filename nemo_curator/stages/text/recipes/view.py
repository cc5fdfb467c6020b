"""`TextView`: a text, with what the rules of a recipe have to know of it, each worked out once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from nemo_curator.stages.text.utils.text_utils import (
    WordSplitter,
    get_paragraphs,
    get_sentences,
    get_word_splitter,
    word_separator,
)

__all__ = ["TextView", "repeated"]


class TextView:
    """A text with its words, lines and paragraphs, worked out when they are first asked for. Do not change the lists.

    Args:
        text: The text.
        split: What cuts it into words.
        gap: Characters between two words: 1, or 0 for languages without spaces.
    """

    def __init__(self, text: str, split: WordSplitter = str.split, gap: int = 1) -> None:
        self.text = text
        self.split = split
        self.gap = gap

    @classmethod
    def in_language(cls, text: str, lang: str) -> TextView:
        """Return the view of a text whose words are those of a language, an ISO 639-1 code.

        Raises:
            MissingExtra: The language needs a package that is not installed.
        """
        return cls(text, get_word_splitter(lang), len(word_separator(lang)))

    def of(self, text: str) -> TextView:
        """Return the view of another text in the same language; of an equal text this one, with all that it knows."""
        return self if text == self.text else TextView(text, self.split, self.gap)

    @cached_property
    def words(self) -> list[str]:
        """The words."""
        return self.split(self.text)

    @cached_property
    def lines(self) -> list[str]:
        """The lines that are not blank, without white space around them."""
        return get_sentences(self.text)

    @cached_property
    def paragraphs(self) -> list[str]:
        """What stands between blank lines, without white space around it."""
        return get_paragraphs(self.text)

    @cached_property
    def repeated_lines(self) -> tuple[float, float]:
        """Shares of the lines, and of their characters, that are in lines which came before; 0.0 without lines."""
        return repeated(self.lines)

    @cached_property
    def repeated_paragraphs(self) -> tuple[float, float]:
        """The same for paragraphs."""
        return repeated(self.paragraphs)


def repeated(units: Sequence[str]) -> tuple[float, float]:
    """Return which shares of the units, and of their characters, are in units that came before; 0.0 without any."""
    unique = set(units)
    if len(unique) == len(units):
        return 0.0, 0.0
    total = sum(map(len, units))
    # Differences first: a share that is a limit shall be that number, not one beside it.
    return (len(units) - len(unique)) / len(units), (total - sum(map(len, unique))) / total
