"""Texts that mean nearly the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.text.deduplication.semantic.workflow import TextSemanticDeduplicationWorkflow

__all__ = ["TextSemanticDeduplicationWorkflow"]

__getattr__ = lazy_names(__name__, dict.fromkeys(__all__, "workflow"))


def __dir__() -> list[str]:
    return sorted(__all__)
