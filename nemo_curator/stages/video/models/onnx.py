"""Image models as ONNX graphs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.errors import DataError, InputError, OptionError, require
from nemo_curator.models.base import onnx_session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OnnxFrameModel", "OnnxFrameScorer", "make_session"]


def make_session(path: str | Path, purpose: str) -> Any:
    """Return an ONNX Runtime session on the CPU, with one thread: workers are what makes use of cores.

    Raises:
        MissingExtra: onnxruntime is not installed.
        InputError: There is no such file, or it is not a model.
    """
    require("onnxruntime", extra="video", purpose=purpose)
    if not Path(path).is_file():
        message = f"{purpose} needs an ONNX model, and there is no {path}; export one there, or pass another path"
        raise InputError(message)
    try:
        return onnx_session(str(path), str(path), extra="video")
    except DataError as error:
        message = f"{path} cannot be loaded as an ONNX model: {error.__cause__}"
        raise InputError(message) from error


@dataclass
class OnnxFrameModel:
    """An image model in an ONNX file: an embedder, or the body of a scorer.

    Attributes:
        path: The file.
        size: Height and width that it wants.
        layout: ``"nchw"`` or ``"nhwc"``.
        mean: Subtracted from each channel, R, G, B, after division by 255.
        std: What the rest is divided by.
        output: Name of the output; the first by default.
        batch_size: Frames in one batch of the model.
    """

    path: str
    size: tuple[int, int] = (224, 224)
    layout: Literal["nchw", "nhwc"] = "nchw"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    output: str | None = None
    batch_size: int = 16

    def __post_init__(self) -> None:
        if self.layout not in ("nchw", "nhwc") or self.batch_size < 1:
            message = "OnnxFrameModel: layout must be 'nchw' or 'nhwc', and batch_size at least 1"
            raise OptionError(message)
        self._session: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_session": None}

    def setup(self) -> None:
        """Load the model.

        Raises:
            InputError: There is no such model, or no such output.
        """
        self._session = make_session(self.path, "OnnxFrameModel")
        there = [found.name for found in self._session.get_outputs()]
        if self.output is not None and self.output not in there:
            message = f"{self.path} has no output {self.output!r}; it has: {', '.join(there)}"
            raise InputError(message)

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the model says: n x d, or n x anything, flattened."""
        import numpy as np

        name = self._session.get_inputs()[0].name
        outputs = None if self.output is None else [self.output]
        found = [
            np.asarray(self._session.run(outputs, {name: self._prepared(frames[start : start + self.batch_size])})[0])
            for start in range(0, len(frames), self.batch_size)
        ]
        return np.concatenate(found).reshape(len(frames), -1).astype(np.float32)

    def _prepared(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        import numpy as np
        from PIL import Image

        height, width = self.size
        sized = [
            np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC)) for frame in frames
        ]
        scaled = np.stack(sized).astype(np.float32) / 255.0
        normal = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(normal.transpose(0, 3, 1, 2)) if self.layout == "nchw" else normal


@dataclass
class OnnxFrameScorer(OnnxFrameModel):
    """A model in an ONNX file whose output, or one column of it, is a score.

    Attributes:
        column: Which column.
    """

    column: int = 0

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the score of each frame."""
        return super().__call__(frames)[:, self.column]
