"""`BoilerPlateStringModifier`: removes legal notices."""

from __future__ import annotations

from nemo_curator.stages.text.filters.heuristic.string.marks import PLACEHOLDER, holds_policy_phrase
from nemo_curator.stages.text.modifiers.base import DocumentModifier
from nemo_curator.stages.text.utils.text_utils import paragraph_spans

__all__ = ["BoilerPlateStringModifier"]


class BoilerPlateStringModifier(DocumentModifier):
    """Removes notices about cookies, privacy and terms of use; placeholder text ("lorem ipsum") gives an empty result.

    A paragraph is what stands between blank lines.

    Args:
        remove_if_at_top_or_bottom: Remove the paragraphs with a policy phrase if they stand together at the top or at the
            bottom and something else is left; otherwise leave the text as it is. `False`: a text with a policy phrase gives
            an empty result.
    """

    def __init__(self, remove_if_at_top_or_bottom: bool = True) -> None:
        self._remove_if_at_top_or_bottom = remove_if_at_top_or_bottom

    def modify_document(self, text: str) -> str:
        """Return the text without notices."""
        if PLACEHOLDER in text.lower():
            return ""
        if not holds_policy_phrase(text):
            return text
        return _without_notices(text) if self._remove_if_at_top_or_bottom else ""


def _without_notices(text: str) -> str:
    spans = paragraph_spans(text)
    notices = [holds_policy_phrase(text[start:stop]) for start, stop in spans]
    kept = [span for span, notice in zip(spans, notices, strict=True) if not notice]
    first = notices.index(True)
    together = all(notices[first : first + notices.count(True)])
    if not kept or not together or not (notices[0] or notices[-1]):
        return text
    return text[kept[0][0] : kept[-1][1]]
