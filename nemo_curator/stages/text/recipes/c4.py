"""The rules of C4: Raffel et al. 2020, "Exploring the Limits of Transfer Learning", arXiv 1910.10683, section 2.2.

Defaults are the numbers of the paper as it was published (JMLR 21, and the third and fourth version on arXiv): pages of 3 sentences or
more, lines of 5 words or more. Its first version says 5 sentences and 3 words, which datatrove and FineWeb took. The program that made
C4 (TensorFlow Datasets, ``c4_utils.py``) has 3 and 5 as well, and two limits that no version of the paper has: lines with a word of more
than 1,000 characters go, and so do lines that end in ``...``. Here both are options.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from nemo_curator.stages.text.filters.heuristic.string.marks import PLACEHOLDER
from nemo_curator.stages.text.recipes.marks import QUOTES, SENTENCE_ENDS
from nemo_curator.stages.text.recipes.rules import Cleaner, RuleSet
from nemo_curator.stages.text.recipes.view import TextView

__all__ = ["C4Lines", "C4Page", "C4Sentences", "count_sentences"]

_CITATION = re.compile(r"\[(?:\d+|citation needed|edit)\]", re.IGNORECASE)
_SCRIPT = "javascript"
_TERMINAL = tuple(".!?" + QUOTES)
_POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")

# In scripts with spaces a full stop ends a sentence before a space, unless a small letter follows ("e.g. this"); the marks of others
# always do. A run of marks is entered at its beginning only, or a long one would be searched again from each of its characters.
_WESTERN = ".!?\u2026"
_CLOSING = re.escape(QUOTES + ")]\u00bb\u300d\u300f")
_SENTENCE_END = re.compile(
    rf"(?<![{_WESTERN}])[{_WESTERN}]++[{_CLOSING}]*+(?=$|\s++[^a-z])"
    rf"|[{re.escape(''.join(mark for mark in SENTENCE_ENDS if mark not in _WESTERN))}]++[{_CLOSING}]*+"
)


def count_sentences(lines: Iterable[str]) -> int:
    """Return the number of sentences in lines without white space around them. What is left at the end of a line is one too.

    A rule of thumb for all scripts: abbreviations before a capital letter are taken for ends.
    """
    count = 0
    for line in lines:
        end = 0
        for match in _SENTENCE_END.finditer(line):
            count += 1
            end = match.end()
        count += end < len(line)
    return count


@dataclass(kw_only=True)
class C4Page(RuleSet):
    """Drops pages for what occurs in them: placeholder text, a curly bracket, which is a sign of code, or a bad word.

    Names of the rules: ``c4_placeholder``, ``c4_curly_bracket``, ``c4_bad_words``.

    Attributes:
        curly_brackets: Drop pages with one.
        bad_words: Words and phrases, in any case, that drop a page in which they stand by themselves. The paper takes the "List of Dirty,
            Naughty, Obscene or Otherwise Bad Words", which does not come with this package.
    """

    _name = "c4_page"

    curly_brackets: bool = True
    bad_words: tuple[str, ...] = ()

    def judge(self, view: TextView) -> str:
        """Return the name of the first rule that a text breaks."""
        if PLACEHOLDER in view.text.lower():
            return "c4_placeholder"
        if self.curly_brackets and "{" in view.text:
            return "c4_curly_bracket"
        found = self.bad_words and _pattern(tuple(self.bad_words)).search(view.text)
        return "c4_bad_words" if found else ""


@dataclass(kw_only=True)
class C4Lines(Cleaner):
    """Removes citation marks such as ``[1]``, and lines that are no sentences or that stand on every page.

    A line is removed if it does not end in ``. ! ?`` or a closing quotation mark, has too few words or an overlong one, or says
    "javascript" or one of six phrases about policies, in any case. Blank lines go too; others lose the white space around them.

    Attributes:
        terminal_marks: Remove lines that end otherwise.
        min_words: Fewest words of a line. 5 in the journal's version of the paper and in the program of C4, 3 in its first version and
            in datatrove.
        max_word_length: Longest word, in characters; `None` for any. Not in the paper, but in the programs that apply it (1,000).
        ellipses: Keep lines that end in three full stops. The paper has no such rule; the programs that apply it remove such lines.
        citations: Remove citation marks.
        lang: Language, which decides what a word is; ISO 639-1.
    """

    _name = "c4_lines"

    terminal_marks: bool = True
    min_words: int = 5
    max_word_length: int | None = None
    ellipses: bool = True
    citations: bool = True
    lang: str = "en"

    def clean(self, text: str) -> str:
        """Return the lines that are left."""
        if self.citations and "[" in text:
            text = _CITATION.sub("", text)
        view = TextView.in_language("", self.lang)
        return "\n".join(line for raw in text.split("\n") if (line := raw.strip()) and self._stays(line, view))

    def _stays(self, line: str, view: TextView) -> bool:
        if self.terminal_marks and not line.endswith(_TERMINAL):
            return False
        if not self.ellipses and line.endswith("..."):
            return False
        words = view.split(line)
        if len(words) < self.min_words:
            return False
        if self.max_word_length is not None and max(map(len, words), default=0) > self.max_word_length:
            return False
        lower = line.lower()
        return _SCRIPT not in lower and not any(phrase in lower for phrase in _POLICIES)


@dataclass(kw_only=True)
class C4Sentences(RuleSet):
    """Drops pages with few sentences. Name of the rule: ``c4_sentences_few``.

    Attributes:
        min_sentences: Fewest sentences. 3 in the journal's version of the paper and in the program of C4, 5 in its first version and in
            datatrove.
    """

    _name = "c4_sentences"

    min_sentences: int = 3

    def judge(self, view: TextView) -> str:
        """Return the name of the rule, if a text breaks it."""
        return "c4_sentences_few" if count_sentences(view.lines) < self.min_sentences else ""


@lru_cache(maxsize=8)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    either = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)
