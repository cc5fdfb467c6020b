"""`CLIPImageEmbeddings`: the image tower of a CLIP model in a local folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nemo_curator.errors import DataError, InputError, require
from nemo_curator.models.base import Model, find_file, onnx_session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CLIPImageEmbeddings", "CLIPPreprocessing"]

_ADVICE = (
    "Put the model there: a vision tower exported to ONNX (its output image_embeds), with its preprocessor_config.json; or, for torch, "
    "what 'hf download openai/clip-vit-large-patch14 --local-dir FOLDER' fetches"
)
_GRAPHS = ("vision_model.onnx", "model.onnx", "onnx/vision_model.onnx", "onnx/model.onnx", "*.onnx")


@dataclass(frozen=True)
class CLIPPreprocessing:
    """How pixels reach the model. The defaults are those of CLIP (Radford et al. 2021, arXiv 2103.00020).

    Attributes:
        size: Side of the square in pixels: the shorter side is scaled to it, the middle is cut out.
        mean: Subtracted from each channel, after scaling to 0..1.
        std: Each channel is divided by it.
    """

    size: int = 224
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    @classmethod
    def of_folder(cls, folder: str | Path) -> CLIPPreprocessing:
        """Return what ``preprocessor_config.json`` of a folder says; the defaults if there is none.

        Raises:
            DataError: The file says something else than sizes and numbers.
        """
        path = Path(folder) / "preprocessor_config.json"
        if not path.is_file():
            return cls()
        try:
            said: Any = json.loads(path.read_text())
            size: Any = said.get("crop_size", said.get("size", cls.size))
            if isinstance(size, dict):
                sides = cast("dict[str, Any]", size)
                size = sides.get("height", sides.get("shortest_edge"))
            mean, std = (tuple(map(float, said.get(f"image_{what}", getattr(cls, what)))) for what in ("mean", "std"))
            if not 1 <= int(size) <= 4096 or len(mean) != 3 or len(std) != 3 or min(std) <= 0:
                raise ValueError(size)
        except (TypeError, ValueError, AttributeError) as error:
            message = f"{path} does not say how images are prepared: {error}"
            raise DataError(message) from error
        return cls(int(size), mean, std)

    def __call__(self, inputs: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return images as float32 of shape ``(images, 3, size, size)``."""
        import numpy as np

        rows = np.stack([self._square(pixels) for pixels in inputs]).astype(np.float32) / 255
        normal = (rows - np.array(self.mean)) / np.array(self.std)
        return np.ascontiguousarray(normal.transpose(0, 3, 1, 2), dtype=np.float32)

    def _square(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        import numpy as np
        from PIL import Image

        image = Image.fromarray(np.ascontiguousarray(pixels))
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        # Cut out first: scaling all of an image that is a thousand times as long as wide would fill the memory.
        box = (left, top, left + side, top + side)
        return np.asarray(image.resize((self.size, self.size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0))


class CLIPImageEmbeddings(Model):
    """Embeds images with a CLIP model: vectors of length 1 whose products say how alike images are in meaning.

    A graph in the folder is run by ONNX Runtime (extra ``image``), otherwise a folder of transformers by torch (extra ``torch``).

    Args:
        model_dir: The folder.
        threads: Threads of one worker.
    """

    def __init__(self, model_dir: str, threads: int = 1) -> None:
        super().__init__(model_dir)
        self.threads = threads
        self._run: Callable[[Any], Any] | None = None
        self._prepare = CLIPPreprocessing()

    @classmethod
    def download_weights_on_node(cls, model_dir: str | None) -> None:
        """Look whether a model is in the folder."""
        folder = str(model_dir)
        if not _is_transformers(folder):
            find_file(folder, _GRAPHS, "the CLIP model", _ADVICE)

    def setup(self) -> None:
        """Load the model."""
        if self._run is None:
            folder = str(self.model_dir)
            self.download_weights_on_node(folder)
            self._prepare = CLIPPreprocessing.of_folder(folder)
            self._run = self._torch(folder) if _is_transformers(folder) else self._onnx(folder)

    def __call__(self, inputs: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return a vector for every image: float32 of shape ``(images, dimensions)``.

        Args:
            inputs: RGB pixels, uint8 of shape ``(height, width, 3)`` each.
        """
        import numpy as np

        self.setup()
        assert self._run is not None
        vectors = np.asarray(self._run(self._prepare(inputs)), dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(inputs):
            message = f"the model in {self.model_dir} gives numbers of shape {vectors.shape} for {len(inputs)} images; expected a vector each"
            raise DataError(message)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    def _onnx(self, folder: str) -> Callable[[Any], Any]:
        path = find_file(folder, _GRAPHS, "the CLIP model", _ADVICE)
        session = onnx_session(str(path), str(path), extra="image", threads=self.threads)
        inputs = [each.name for each in session.get_inputs()]
        if len(inputs) != 1:
            message = f"{path} wants {len(inputs)} inputs ({', '.join(inputs)}); export the vision tower alone, which takes pixel_values"
            raise DataError(message)
        outputs = [each.name for each in session.get_outputs()]
        chosen = "image_embeds" if "image_embeds" in outputs else outputs[0]
        return lambda pixels: session.run([chosen], {inputs[0]: pixels})[0]

    def _torch(self, folder: str) -> Callable[[Any], Any]:
        for module in ("torch", "transformers"):
            require(module, extra="torch", purpose=f"the CLIP model in {folder}")
        import torch  # pyright: ignore[reportMissingImports] - an extra
        from transformers import CLIPVisionModelWithProjection  # pyright: ignore[reportMissingImports] - an extra

        try:
            model = CLIPVisionModelWithProjection.from_pretrained(folder, local_files_only=True).eval()
        except (OSError, ValueError) as error:
            message = f"{folder} holds no CLIP model that transformers can load: {error}"
            raise InputError(message) from error

        def run(pixels: Any) -> Any:
            with torch.inference_mode():
                return model(pixel_values=torch.from_numpy(pixels)).image_embeds.numpy()

        return run


def _is_transformers(folder: str) -> bool:
    root = Path(folder)
    return (root / "config.json").is_file() and any(root.glob("*.safetensors")) and not any(root.rglob("*.onnx"))
