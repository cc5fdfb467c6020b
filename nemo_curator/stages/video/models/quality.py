"""Measures of frames that need no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.errors import require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BrightnessScorer", "SharpnessScorer"]

# Sharpness depends on the size of a picture, so all are measured at the same height.
_HEIGHT = 240
# Luma of ITU-R BT.601.
_LUMA = (0.299, 0.587, 0.114)


class SharpnessScorer:
    """Variance of the Laplacian of the grey picture at a height of 240 pixels: low where nothing is in focus.

    Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, 2000. Below about 100 pictures look blurred; a black one has 0.
    """

    def setup(self) -> None:
        """Raise `MissingExtra` if OpenCV is not installed."""
        require("cv2", extra="video", purpose="SharpnessScorer")

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the variance for each frame."""
        import cv2
        import numpy as np

        scores: list[float] = []
        for frame in frames:
            width = max(1, round(frame.shape[1] * _HEIGHT / frame.shape[0]))
            grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
            small = cv2.resize(grey, (width, _HEIGHT), interpolation=cv2.INTER_AREA)
            scores.append(float(cv2.Laplacian(small, cv2.CV_64F).var()))
        return np.asarray(scores, np.float32)


class BrightnessScorer:
    """Mean luma, from 0 (black) to 1 (white)."""

    def setup(self) -> None:
        """Nothing is to be loaded."""

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the mean luma of each frame."""
        import numpy as np

        means = frames.mean(axis=(1, 2), dtype=np.float64)
        return (means @ np.asarray(_LUMA) / 255.0).astype(np.float32)
