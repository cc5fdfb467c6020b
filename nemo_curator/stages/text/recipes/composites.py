"""The published recipes as stages: identify the language, then apply the rules in one pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.text.recipes.c4 import C4Lines, C4Page, C4Sentences
from nemo_curator.stages.text.recipes.fineweb import FineWebQuality
from nemo_curator.stages.text.recipes.gopher import GopherQuality, GopherRepetition
from nemo_curator.stages.text.recipes.rules import Cleaner, RuleSet
from nemo_curator.stages.text.recipes.stage import ApplyRules
from nemo_curator.tasks import DocumentBatch

if TYPE_CHECKING:
    from nemo_curator.stages.text.io.writer.base import BaseWriter

__all__ = ["C4Recipe", "FineWebRecipe", "GopherRecipe", "c4_rules", "fineweb_rules", "gopher_rules"]


def c4_rules(lang: str = "en", bad_words: Sequence[str] = ()) -> list[RuleSet | Cleaner]:
    """Return the rules of C4, in the journal's version of the paper. For `ApplyRules`."""
    return [C4Page(lang=lang, bad_words=tuple(bad_words)), C4Lines(lang=lang), C4Sentences(lang=lang)]


def gopher_rules(lang: str = "en") -> list[RuleSet | Cleaner]:
    """Return the rules of Gopher: quality, then repetition, in the paper's order. For `ApplyRules`.

    For another language than English the rule about stop words is left out: it names English words.
    """
    return [_gopher_quality(lang), GopherRepetition(lang=lang)]


def fineweb_rules(lang: str = "en", max_repeated_characters: float = 0.1) -> list[RuleSet | Cleaner]:
    """Return the rules of FineWeb: Gopher's, C4's without its rule about terminal marks, and its own. For `ApplyRules`.

    Args:
        lang: Language; for another than English, the rule about stop words is left out.
        max_repeated_characters: See `FineWebQuality`: 0.1 in the paper, 0.01 in the published program.
    """
    return [
        GopherRepetition(lang=lang),
        _gopher_quality(lang),
        C4Page(lang=lang),
        C4Lines(lang=lang, terminal_marks=False, min_words=3, max_word_length=1000),
        C4Sentences(lang=lang, min_sentences=5),
        FineWebQuality(lang=lang, max_repeated_characters=max_repeated_characters),
    ]


def _gopher_quality(lang: str) -> GopherQuality:
    return GopherQuality(lang=lang, min_stop_words=2 if lang.lower().startswith("en") else 0)


class _Recipe(CompositeStage[DocumentBatch, DocumentBatch]):
    """What the recipes share; `C4Recipe` says what the arguments are."""

    _min_langid_score: float

    def __init__(
        self,
        rules: Sequence[RuleSet | Cleaner] | None = None,
        *,
        text_field: str = "text",
        lang: str = "en",
        langid_model: str | None = None,
        language_field: str | None = None,
        exclusions: str | BaseWriter | None = None,
    ) -> None:
        super().__init__()
        self.text_field = text_field
        self.lang = lang
        self.langid_model = langid_model
        self.language_field = language_field
        self.exclusions = exclusions
        self.rules = self._published(lang) if rules is None else list(rules)

    @abstractmethod
    def _published(self, lang: str) -> list[RuleSet | Cleaner]: ...

    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        """Return the filter by language, unless it is left out, and the rules.

        Raises:
            MissingExtra: The language model is not installed.
        """
        rules = ApplyRules(self.rules, self.text_field, name=f"{self.name}_rules", exclusions=self.exclusions)
        if self.langid_model == "":
            return [rules]

        from nemo_curator.stages.text.filters.fasttext import FastTextLangId, default_langid_model
        from nemo_curator.stages.text.filters.score_filter import ScoreFilter

        language = FastTextLangId(self.langid_model or default_langid_model(), self._min_langid_score, self.lang)
        return [ScoreFilter(language, self.text_field, self.language_field, exclusions=self.exclusions), rules]


class C4Recipe(_Recipe):
    """C4: `c4_rules` on texts whose language is sure (0.99; the paper asked langdetect).

    Not among them: the paper's list of bad words, which `c4_rules` takes, and its deduplication of spans of three sentences.

    Args:
        rules: `RuleSet`s and `Cleaner`s in place of the published ones.
        text_field: Column of the text.
        lang: The only language that is kept, ISO 639-1; it also decides what a word is.
        langid_model: A fastText model; `default_langid_model()` by default. The empty string leaves the language out: for input in
            which all is of that language.
        language_field: Column for the language's score and code, see `FastTextLangId`; `None` to forget it.
        exclusions: Folder for what is dropped, for whatever reason, or a writer for it; see `ApplyRules`.
    """

    name = "c4"
    _min_langid_score = 0.99

    def _published(self, lang: str) -> list[RuleSet | Cleaner]:
        return c4_rules(lang)


class GopherRecipe(_Recipe):
    """Gopher's MassiveWeb: `gopher_rules`. The paper names no score for the language; 0.5 is taken.

    Not among them: its filter of pages by SafeSearch, and its deduplication. Arguments are those of `C4Recipe`.
    """

    name = "gopher"
    _min_langid_score = 0.5

    def _published(self, lang: str) -> list[RuleSet | Cleaner]:
        return gopher_rules(lang)


class FineWebRecipe(_Recipe):
    """FineWeb: `fineweb_rules` on texts whose language has a score of 0.65.

    Not among them: its list of blocked URLs, its deduplication by MinHash, and the masking of addresses. Arguments are those of
    `C4Recipe`.
    """

    name = "fineweb"
    _min_langid_score = 0.65

    def _published(self, lang: str) -> list[RuleSet | Cleaner]:
        return fineweb_rules(lang)
