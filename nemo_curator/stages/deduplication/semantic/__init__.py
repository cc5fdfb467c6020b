"""Documents, images, videos or sounds whose embeddings are nearly the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.deduplication.semantic.clusters import AssignClustersStage, WriteClustersStage
    from nemo_curator.stages.deduplication.semantic.identify_duplicates import IdentifyDuplicatesStage
    from nemo_curator.stages.deduplication.semantic.pairwise import PairwiseStage
    from nemo_curator.stages.deduplication.semantic.pairwise_io import ClusterWiseFilePartitioningStage
    from nemo_curator.stages.deduplication.semantic.prepare import PrepareVectorsStage
    from nemo_curator.stages.deduplication.semantic.ranking import RankingStrategy
    from nemo_curator.stages.deduplication.semantic.workflow import SemanticDeduplicationWorkflow

__all__ = [
    "AssignClustersStage",
    "ClusterWiseFilePartitioningStage",
    "IdentifyDuplicatesStage",
    "PairwiseStage",
    "PrepareVectorsStage",
    "RankingStrategy",
    "SemanticDeduplicationWorkflow",
    "WriteClustersStage",
]

_MODULES = {
    "AssignClustersStage": "clusters",
    "ClusterWiseFilePartitioningStage": "pairwise_io",
    "IdentifyDuplicatesStage": "identify_duplicates",
    "PairwiseStage": "pairwise",
    "PrepareVectorsStage": "prepare",
    "RankingStrategy": "ranking",
    "SemanticDeduplicationWorkflow": "workflow",
    "WriteClustersStage": "clusters",
}
__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
