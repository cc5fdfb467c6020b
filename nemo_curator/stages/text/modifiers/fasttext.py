"""Modifiers that prepare text for fastText."""

from __future__ import annotations

from nemo_curator.stages.text.modifiers.base import DocumentModifier

__all__ = ["FastTextLabelModifier"]


class FastTextLabelModifier(DocumentModifier):
    """Makes of a text one line of a training file: the label, a space, the text.

    Args:
        label: The label with its marker, for instance ``__label__hq``.
    """

    def __init__(self, label: str) -> None:
        self._label = label

    def modify_document(self, text: str) -> str:
        """Return the line; line ends and label markers in the text become spaces."""
        return f"{self._label} {text.replace(chr(10), ' ').replace('__label__', ' ')}"
