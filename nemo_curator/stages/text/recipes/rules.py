"""`RuleSet`: published rules that say of a text which of them it breaks first. `Cleaner`: published rules that change a text."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from nemo_curator.stages.text.filters.base import DocumentFilter
from nemo_curator.stages.text.modifiers.base import DocumentModifier
from nemo_curator.stages.text.recipes.view import TextView

__all__ = ["Cleaner", "RuleSet"]


@dataclass(kw_only=True)
class RuleSet(DocumentFilter):
    """Keeps the texts that break none of several rules, checked in order.

    The score of a text is the name of the first rule that it breaks, or the empty string. The report counts what is dropped by it.
    Alone, a rule set is a filter like any other, for `ScoreFilter`. `ApplyRules` applies several to one view of every text.

    Attributes:
        lang: Language, which decides what a word is; ISO 639-1.
    """

    lang: str = "en"

    @abstractmethod
    def judge(self, view: TextView) -> str:
        """Return the name of the first rule that a text breaks; the empty string if it breaks none."""

    def score_document(self, text: str) -> str:
        """Return the same, of a text by itself."""
        return self.judge(TextView.in_language(text, self.lang))

    def keep_document(self, scores: str) -> bool:
        """Keep what breaks no rule."""
        return not scores

    def drop_reason(self, score: str) -> str:
        """Return the name of the rule."""
        return score


class Cleaner(DocumentModifier):
    """Removes from texts what rules say shall not be in them. Alone it is a modifier, for `Modify`."""

    @abstractmethod
    def clean(self, text: str) -> str:
        """Return what is left of a text; the text itself if nothing is removed."""

    def modify_document(self, text: str) -> str:
        """Return the same."""
        return self.clean(text)
