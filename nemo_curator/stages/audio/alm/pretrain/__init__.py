"""From long recordings to snippets that audio language models are trained with. Importing this package imports no audio library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.audio.alm.pretrain.output import (
        PretrainMetricsAggregatorStage,
        SnippetExtractionStage,
        SnippetManifestWriterStage,
    )
    from nemo_curator.stages.audio.alm.pretrain.stages import (
        OverlapFilterStage,
        ReadLongFormManifestStage,
        SnippetCutPlannerStage,
        SnippetRepetitionFilterStage,
    )

__all__ = [
    "OverlapFilterStage",
    "PretrainMetricsAggregatorStage",
    "ReadLongFormManifestStage",
    "SnippetCutPlannerStage",
    "SnippetExtractionStage",
    "SnippetManifestWriterStage",
    "SnippetRepetitionFilterStage",
]

_OUTPUT = ("PretrainMetricsAggregatorStage", "SnippetExtractionStage", "SnippetManifestWriterStage")

__getattr__ = lazy_names(__name__, {name: "output" if name in _OUTPUT else "stages" for name in __all__})


def __dir__() -> list[str]:
    return sorted(__all__)
