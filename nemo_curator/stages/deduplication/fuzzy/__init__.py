"""Documents with nearly the same text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.deduplication.fuzzy.detection import detection_probability
    from nemo_curator.stages.deduplication.fuzzy.workflow import FuzzyDeduplicationWorkflow

__all__ = ["FuzzyDeduplicationWorkflow", "detection_probability"]

_MODULES = {"FuzzyDeduplicationWorkflow": "workflow", "detection_probability": "detection"}
__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
