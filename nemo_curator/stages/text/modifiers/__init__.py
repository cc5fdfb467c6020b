"""Modifiers: the stage that changes documents, and the changes. Packages that a change needs are imported by its first call."""

from nemo_curator.stages.text.modifiers.base import DocumentModifier
from nemo_curator.stages.text.modifiers.boilerplate import BoilerPlateStringModifier
from nemo_curator.stages.text.modifiers.fasttext import FastTextLabelModifier
from nemo_curator.stages.text.modifiers.modify import Modify
from nemo_curator.stages.text.modifiers.string import (
    LineRemover,
    MarkdownRemover,
    NewlineNormalizer,
    QuotationRemover,
    Slicer,
    UrlRemover,
    WhitespaceNormalizer,
)
from nemo_curator.stages.text.modifiers.unicode import UnicodeReformatter

__all__ = [
    "BoilerPlateStringModifier",
    "DocumentModifier",
    "FastTextLabelModifier",
    "LineRemover",
    "MarkdownRemover",
    "Modify",
    "NewlineNormalizer",
    "QuotationRemover",
    "Slicer",
    "UnicodeReformatter",
    "UrlRemover",
    "WhitespaceNormalizer",
]
