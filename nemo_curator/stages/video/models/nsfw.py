"""Yahoo's Open-NSFW network for frames, see `nemo_curator.models.open_nsfw.OpenNsfw`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemo_curator.models.open_nsfw import OpenNsfw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OpenNsfwEmbedder", "OpenNsfwScorer"]

_BATCH = 16


class _OpenNsfwFrames:
    def __init__(self) -> None:
        self._model = OpenNsfw()

    def __getstate__(self) -> dict[str, Any]:
        return {"_model": OpenNsfw()}

    def setup(self) -> None:
        """Load the network.

        Raises:
            MissingExtra: A package is not installed.
            DataError: The package's network is not the one that is known here.
        """
        self._model.setup()

    def _seen(self, frames: NDArray[np.uint8], which: int) -> NDArray[np.float32]:
        import numpy as np

        parts = [self._model(list(frames[start : start + _BATCH]))[which] for start in range(0, len(frames), _BATCH)]
        return np.concatenate(parts)


class OpenNsfwScorer(_OpenNsfwFrames):
    """How likely a frame is not safe for work, from 0 to 1. Yahoo's guidance: below 0.2 safe, above 0.8 not."""

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability for each frame."""
        return self._seen(frames, 0)


class OpenNsfwEmbedder(_OpenNsfwFrames):
    """The 1024 pooled features in front of the network's last layer, for frames that look alike.

    Good for near-duplicates, weak on meaning: the network was trained for another task. A model of your own in an ONNX file goes into
    `OnnxFrameModel`.
    """

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return n x 1024 features."""
        return self._seen(frames, 1)
