"""Documents with equal texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.deduplication.exact.stage import ExactDuplicatesRemovalStage
    from nemo_curator.stages.deduplication.exact.workflow import ExactDeduplicationWorkflow

__all__ = ["ExactDeduplicationWorkflow", "ExactDuplicatesRemovalStage"]

_MODULES = {"ExactDeduplicationWorkflow": "workflow", "ExactDuplicatesRemovalStage": "stage"}
__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
