"""Removing the documents that a deduplication has named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.text.deduplication.removal import TextDuplicatesRemovalStage
    from nemo_curator.stages.text.deduplication.removal_workflow import TextDuplicatesRemovalWorkflow
    from nemo_curator.stages.text.deduplication.semantic.workflow import TextSemanticDeduplicationWorkflow

__all__ = ["TextDuplicatesRemovalStage", "TextDuplicatesRemovalWorkflow", "TextSemanticDeduplicationWorkflow"]

_MODULES = {
    "TextDuplicatesRemovalStage": "removal",
    "TextDuplicatesRemovalWorkflow": "removal_workflow",
    "TextSemanticDeduplicationWorkflow": "semantic.workflow",
}
__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
