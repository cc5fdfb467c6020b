"""Documents with equal texts."""

from nemo_curator.stages.deduplication.exact.stage import ExactDuplicatesRemovalStage

__all__ = ["ExactDuplicatesRemovalStage"]
