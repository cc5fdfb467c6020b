"""The rules of Gopher's MassiveText: Rae et al. 2021, "Scaling Language Models", arXiv 2112.11446, section A.1.1 and table A1."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import filterfalse

from nemo_curator.stages.text.filters.heuristic.string.marks import BULLETS, COMMON_ENGLISH_WORDS
from nemo_curator.stages.text.recipes.rules import RuleSet
from nemo_curator.stages.text.recipes.view import TextView
from nemo_curator.stages.text.utils.ngrams import repeated_ngram_characters, top_ngram_characters

__all__ = ["GopherQuality", "GopherRepetition"]

_ELLIPSES = ("...", "…")
# The paper says "bullet point"; people who have a keyboard make theirs of these two, with a blank behind.
_TYPED_BULLETS = ("- ", "* ")


@dataclass(kw_only=True)
class GopherQuality(RuleSet):
    """Keeps texts that look like prose (section A.1.1, "Quality Filtering"). Limits are kept, on both sides.

    Names of the rules: ``gopher_words_few``, ``gopher_words_many``, ``gopher_word_length_low``, ``gopher_word_length_high``,
    ``gopher_hashes``, ``gopher_ellipses``, ``gopher_bullet_lines``, ``gopher_ellipsis_lines``, ``gopher_letters``,
    ``gopher_stop_words``.

    Attributes:
        min_words: Fewest words.
        max_words: Most words.
        min_mean_word_length: Lowest mean length of a word, in characters.
        max_mean_word_length: Highest.
        max_symbols_per_word: Most hash signs per word, and most ellipses.
        max_bullet_lines: Share of the lines that may start with a bullet.
        max_ellipsis_lines: Share of the lines that may end with an ellipsis.
        min_words_with_letter: Share of the words that must have a letter, of any script.
        min_stop_words: How many different ones of `stop_words` must be there, in lower case; 0 for languages without a list.
        stop_words: The eight words that the paper names.
    """

    _name = "gopher_quality"

    min_words: int = 50
    max_words: int = 100_000
    min_mean_word_length: float = 3
    max_mean_word_length: float = 10
    max_symbols_per_word: float = 0.1
    max_bullet_lines: float = 0.9
    max_ellipsis_lines: float = 0.3
    min_words_with_letter: float = 0.8
    min_stop_words: int = 2
    stop_words: frozenset[str] = field(default=COMMON_ENGLISH_WORDS)

    def judge(self, view: TextView) -> str:
        """Return the name of the first rule that a text breaks."""
        return self._judge_words(view.words) or self._judge_symbols(view) or self._judge_kinds(view)

    def _judge_words(self, words: list[str]) -> str:
        if not words or len(words) < self.min_words:  # of no words there is no mean length
            return "gopher_words_few"
        if len(words) > self.max_words:
            return "gopher_words_many"
        mean = sum(map(len, words)) / len(words)
        if mean < self.min_mean_word_length:
            return "gopher_word_length_low"
        return "gopher_word_length_high" if mean > self.max_mean_word_length else ""

    def _judge_symbols(self, view: TextView) -> str:
        most = self.max_symbols_per_word * len(view.words)
        if view.text.count("#") > most:
            return "gopher_hashes"
        if sum(map(view.text.count, _ELLIPSES)) > most:
            return "gopher_ellipses"
        lines = view.lines
        if sum(line.startswith(BULLETS + _TYPED_BULLETS) for line in lines) > self.max_bullet_lines * len(lines):
            return "gopher_bullet_lines"
        cut_off = sum(line.endswith(_ELLIPSES) for line in lines)
        return "gopher_ellipsis_lines" if cut_off > self.max_ellipsis_lines * len(lines) else ""

    def _judge_kinds(self, view: TextView) -> str:
        # Most words are letters only, and most others begin with one: few are left for the loop over characters.
        rest = [word for word in filterfalse(str.isalpha, view.words) if not word[0].isalpha()]
        without = sum(not any(map(str.isalpha, word)) for word in rest)
        if len(view.words) - without < self.min_words_with_letter * len(view.words):
            return "gopher_letters"
        return "" if len(self.stop_words.intersection(view.words)) >= self.min_stop_words else "gopher_stop_words"


@dataclass(kw_only=True)
class GopherRepetition(RuleSet):
    """Keeps texts that do not repeat themselves (section A.1.1, "Repetition Removal", table A1). Limits are kept.

    What repeats is what came before: of three equal lines two are repeated. The most frequent n-gram counts if it occurs twice at
    least. Names of the rules: ``gopher_repeated_lines``, ``gopher_repeated_paragraphs``, ``gopher_repeated_line_characters``,
    ``gopher_repeated_paragraph_characters``, ``gopher_top_2_gram`` and so on, ``gopher_repeated_5_grams`` and so on.

    Attributes:
        max_repeated_lines: Share of the lines.
        max_repeated_paragraphs: Share of the paragraphs.
        max_repeated_line_characters: Share of the characters of all lines.
        max_repeated_paragraph_characters: Share of the characters of all paragraphs.
        max_top_ngrams: For every n, the share of the text's characters that may be in the most frequent n-gram.
        max_repeated_ngrams: For every n, the share of the text's characters that may be in repeated n-grams, each counted once.
    """

    _name = "gopher_repetition"

    max_repeated_lines: float = 0.3
    max_repeated_paragraphs: float = 0.3
    max_repeated_line_characters: float = 0.2
    max_repeated_paragraph_characters: float = 0.2
    max_top_ngrams: dict[int, float] = field(default_factory=lambda: {2: 0.2, 3: 0.18, 4: 0.16})
    max_repeated_ngrams: dict[int, float] = field(
        default_factory=lambda: {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1}
    )

    def judge(self, view: TextView) -> str:
        """Return the name of the first rule that a text breaks."""
        return self._judge_lines(view) or self._judge_top(view) or self._judge_repeated(view)

    def _judge_lines(self, view: TextView) -> str:
        lines, line_characters = view.repeated_lines
        if lines > self.max_repeated_lines:
            return "gopher_repeated_lines"
        paragraphs, paragraph_characters = view.repeated_paragraphs
        if paragraphs > self.max_repeated_paragraphs:
            return "gopher_repeated_paragraphs"
        if line_characters > self.max_repeated_line_characters:
            return "gopher_repeated_line_characters"
        too_many = paragraph_characters > self.max_repeated_paragraph_characters
        return "gopher_repeated_paragraph_characters" if too_many else ""

    def _judge_top(self, view: TextView) -> str:
        for n, limit in sorted(self.max_top_ngrams.items()):
            characters = top_ngram_characters(view.words, n, view.gap)
            if characters > limit * len(view.text):
                return f"gopher_top_{n}_gram"
            if not characters:  # without a repeated n-gram there is no longer one
                break
        return ""

    def _judge_repeated(self, view: TextView) -> str:
        limits = sorted(self.max_repeated_ngrams.items())
        for at, (n, limit) in enumerate(limits):
            characters = repeated_ngram_characters(view.words, n, view.gap)
            if characters > limit * len(view.text):
                return f"gopher_repeated_{n}_grams"
            # What is in a repeated n-gram is in repeated shorter ones too: what satisfies the strictest limit that comes is done.
            if characters <= min((limit for _, limit in limits[at:])) * len(view.text):
                break
        return ""
