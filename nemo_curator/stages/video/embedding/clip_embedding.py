"""A vector for every clip, made of the vectors of its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.video.clips import ClipStage, frames_of
from nemo_curator.stages.video.models.base import FrameEmbedder
from nemo_curator.stages.video.models.nsfw import OpenNsfwEmbedder
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks.video import Clip, Video
from nemo_curator.utils.decoder_utils import FrameExtractionPolicy, FrameExtractionSignature

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ClipEmbeddingStage", "pooled"]

Pooling = Literal["mean", "max"]


def pooled(vectors: NDArray[np.float32], pooling: Pooling) -> NDArray[np.float32]:
    """Return one vector of length 1 for those of the frames, n x d, each of which counts the same.

    Raises:
        DataError: The vectors cancel out, or are not numbers.
    """
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.maximum(lengths, 1e-12)
    one = units.mean(axis=0) if pooling == "mean" else units.max(axis=0)
    length = float(np.linalg.norm(one))
    if not np.isfinite(length) or length < 1e-12:
        message = "the vectors of its frames have no direction in common, or are not numbers"
        raise DataError(message)
    return (one / length).astype(np.float32)


class ClipEmbeddingStage(ClipStage):
    """Embeds the frames of clips and pools them: ``embeddings[algorithm]``, float32, of length 1.

    Args:
        embedder: The model; the features of Open-NSFW by default, which see likeness rather than meaning.
        algorithm: What the embeddings are called, here and by the writer.
        pooling: ``"mean"`` of the frames' vectors, or their ``"max"`` number by number.
        target_fps: The rate at which frames were extracted, see `ClipFrameExtractionStage`.

    Raises:
        OptionError: The pooling is not known.
    """

    name = "clip_embedding"
    error_key = "embedding"

    def __init__(
        self,
        embedder: FrameEmbedder | None = None,
        algorithm: str = "open-nsfw-features",
        *,
        pooling: Pooling = "mean",
        target_fps: float = 2.0,
    ) -> None:
        if pooling not in ("mean", "max"):
            message = f"stage {self.name!r}: pooling {pooling!r} is not known; known: mean, max"
            raise OptionError(message)
        self.embedder: FrameEmbedder = embedder or OpenNsfwEmbedder()
        self.algorithm = algorithm
        self.pooling: Pooling = pooling
        self.resources = Resources(cpus=1.0)
        self._signature = FrameExtractionSignature(FrameExtractionPolicy.sequence, target_fps).to_str()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model."""
        self.embedder.setup()

    def process_clip(self, clip: Clip, video: Video) -> None:
        """Embed a clip."""
        frames = frames_of(clip, self._signature, self.name)
        vectors = self.embedder(frames)
        if vectors.ndim != 2 or len(vectors) != len(frames):
            message = f"the model gave vectors of shape {vectors.shape} for {len(frames)} frames"
            raise DataError(message)
        clip.embeddings = {**clip.embeddings, self.algorithm: pooled(vectors, self.pooling)}
