"""`AestheticScorer`: how pleasing an image is, from its embedding."""

from __future__ import annotations

from nemo_curator.models.heads import EmbeddingHead

__all__ = ["AestheticScorer"]


class AestheticScorer(EmbeddingHead):
    """A predictor of aesthetics on embeddings, in a folder; see `EmbeddingHead` for what the file may be.

    Args:
        model_dir: The folder, or the file.
        threads: Threads of one worker.
    """

    def __init__(self, model_dir: str, threads: int = 1) -> None:
        super().__init__(model_dir, "the aesthetic predictor", threads)

    @classmethod
    def download_weights_on_node(cls, model_dir: str | None) -> None:
        """Look whether the predictor is in the folder."""
        cls(str(model_dir)).file()
