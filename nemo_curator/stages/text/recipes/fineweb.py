"""The rules that FineWeb adds to Gopher's and C4's: Penedo et al. 2024, "The FineWeb Datasets", arXiv 2406.17557, section 3.6."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_curator.stages.text.recipes.marks import LINE_ENDS
from nemo_curator.stages.text.recipes.rules import RuleSet
from nemo_curator.stages.text.recipes.view import TextView

__all__ = ["FineWebQuality"]


@dataclass(kw_only=True)
class FineWebQuality(RuleSet):
    """Keeps texts of lines that are sentences, rather than menus and lists (section 3.6). A text that reaches a limit is dropped.

    The last rule is not in the paper but in the program that made the data set. Names of the rules: ``fineweb_empty``,
    ``fineweb_line_ends``, ``fineweb_short_lines``, ``fineweb_repeated_characters``, ``fineweb_lists``.

    Attributes:
        min_ended_lines: Share of the lines that end in punctuation; dropped up to it.
        max_short_lines: Share of the lines that are short; dropped from it on.
        short_line: Lines of fewer characters are short.
        max_repeated_characters: Share of the characters of all lines that are in lines which came before; dropped from it on. The paper
            says 0.1; 0.01 is the default of the program that is published with it.
        max_lines_per_word: Lines per word; dropped above it.
        line_ends: Characters that a sentence ends in, of all scripts.
    """

    _name = "fineweb_quality"

    min_ended_lines: float = 0.12
    max_short_lines: float = 0.67
    short_line: int = 30
    max_repeated_characters: float = 0.1
    max_lines_per_word: float = 0.3
    line_ends: tuple[str, ...] = LINE_ENDS

    def judge(self, view: TextView) -> str:
        """Return the name of the first rule that a text breaks."""
        lines = view.lines
        if not lines:
            return "fineweb_empty"
        count = len(lines)
        if sum(line.endswith(self.line_ends) for line in lines) <= self.min_ended_lines * count:
            return "fineweb_line_ends"
        if sum(len(line) < self.short_line for line in lines) >= self.max_short_lines * count:
            return "fineweb_short_lines"
        if view.repeated_lines[1] >= self.max_repeated_characters:
            return "fineweb_repeated_characters"
        return "fineweb_lists" if count > self.max_lines_per_word * len(view.words) else ""
