"""`NSFWScorer`: whether an image is not safe for work, from its embedding."""

from __future__ import annotations

from nemo_curator.models.heads import EmbeddingHead

__all__ = ["NSFWScorer"]


class NSFWScorer(EmbeddingHead):
    """A classifier on embeddings that somebody gives. `OpenNsfw` is one on pixels, which comes with a package.

    Args:
        model_dir: Its folder, or the file; see `EmbeddingHead`.
        threads: Threads of one worker.
    """

    def __init__(self, model_dir: str, threads: int = 1) -> None:
        super().__init__(model_dir, "the NSFW classifier on embeddings", threads)

    @classmethod
    def download_weights_on_node(cls, model_dir: str | None) -> None:
        """Look whether the classifier is in the folder."""
        cls(str(model_dir)).file()
