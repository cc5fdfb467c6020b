"""Filters: the stages that score and filter, and the rules that they apply.

Importing it imports no rule, no pandas and no model library; the rules are imported when they are first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nemo_curator.stages.text.filters.base import DocumentFilter
from nemo_curator.stages.text.filters.score_filter import Filter, Score, ScoreFilter

if TYPE_CHECKING:
    from nemo_curator.stages.text.filters.fasttext import FastTextLangId, FastTextQualityFilter, default_langid_model
    from nemo_curator.stages.text.filters.histogram import HistogramFilter
    from nemo_curator.stages.text.filters.token import TokenCountFilter

__all__ = [
    "DocumentFilter",
    "FastTextLangId",
    "FastTextQualityFilter",
    "Filter",
    "HistogramFilter",
    "Score",
    "ScoreFilter",
    "TokenCountFilter",
    "default_langid_model",
]

_RULES = tuple(f"nemo_curator.stages.text.filters.{name}" for name in ("heuristic", "fasttext", "histogram", "token"))


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        for module in map(import_module, _RULES):
            if name in module.__all__:
                return getattr(module, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
