"""Classifiers of documents. Importing this package imports no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.text.classifiers.named import (
        ContentTypeClassifier,
        DomainClassifier,
        FineWebEduClassifier,
        FineWebMixtralEduClassifier,
        FineWebNemotronEduClassifier,
        MultilingualDomainClassifier,
        QualityClassifier,
    )
    from nemo_curator.stages.text.classifiers.safety import (
        AegisClassifier,
        InstructionDataGuardClassifier,
        PromptModel,
        PromptTaskComplexityClassifier,
        ToxicityClassifier,
    )
    from nemo_curator.stages.text.classifiers.stage import ClassifierStage, EducationalScoreStage

__all__ = [
    "AegisClassifier",
    "ClassifierStage",
    "ContentTypeClassifier",
    "DomainClassifier",
    "EducationalScoreStage",
    "FineWebEduClassifier",
    "FineWebMixtralEduClassifier",
    "FineWebNemotronEduClassifier",
    "InstructionDataGuardClassifier",
    "MultilingualDomainClassifier",
    "PromptModel",
    "PromptTaskComplexityClassifier",
    "QualityClassifier",
    "ToxicityClassifier",
]

_SAFETY = ("AegisClassifier", "InstructionData", "Prompt", "Toxicity")
_STAGE = ("ClassifierStage", "EducationalScoreStage")

__getattr__ = lazy_names(
    __name__,
    {name: "stage" if name in _STAGE else "safety" if name.startswith(_SAFETY) else "named" for name in __all__},
)


def __dir__() -> list[str]:
    return sorted(__all__)
