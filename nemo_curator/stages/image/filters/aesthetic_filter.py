"""`ImageAestheticFilterStage`: leaves out images that a predictor of aesthetics finds plain."""

from __future__ import annotations

from nemo_curator.errors import OptionError
from nemo_curator.models.aesthetics import AestheticScorer
from nemo_curator.stages.image.filters.base import BaseFilterStage
from nemo_curator.stages.image.holds_model import HoldsModel
from nemo_curator.stages.image.pixels import embeddings_of
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import ImageBatch

__all__ = ["ImageAestheticFilterStage"]


class ImageAestheticFilterStage(HoldsModel, BaseFilterStage):
    """Sets ``aesthetic_score`` and keeps images with the threshold or more. Others are counted as ``low_aesthetic``.

    No predictor comes with a package, so one must be given, together with the embeddings that it was trained on: LAION's is for CLIP ViT-L/14
    and scores from 1 to 10.

    Args:
        model_dir: Folder of the predictor, or its file, see `nemo_curator.models.heads.EmbeddingHead`.
        num_gpus_per_worker: Taken for compatibility; models run on the CPU.
        model_inference_batch_size: Images in one batch of the model.
        score_threshold: Images with a lower score are left out.
        verbose: Log a line for every task.
        name: Name of the stage.
    """

    def __init__(
        self,
        model_dir: str | None = None,
        num_gpus_per_worker: float = 0.25,
        model_inference_batch_size: int = 32,
        score_threshold: float = 0.5,
        verbose: bool = False,
        name: str = "image_aesthetic_filter",
    ) -> None:
        super().__init__(model_dir, num_gpus_per_worker, model_inference_batch_size, score_threshold, verbose, name)

    def check_before_run(self) -> None:
        """Raise `OptionError` if no predictor is named, `InputError` if it is not there."""
        super().check_before_run()
        AestheticScorer.download_weights_on_node(self._folder())

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Look whether the predictor is on this machine."""
        AestheticScorer.download_weights_on_node(self._folder())

    def process(self, task: ImageBatch) -> ImageBatch:
        """Return the images that are pleasing enough.

        Raises:
            ValueError: An image has no embedding.
            DataError: The predictor was trained on other embeddings.
        """
        model = self._model
        scores: list[float] = []
        for images in self.yield_next_batch(task):
            scores += map(float, model(embeddings_of(images, task, self.name)))
        for image, score in zip(task.data, scores, strict=True):
            image.aesthetic_score = score
        return self._kept(task, [score >= self.score_threshold for score in scores], "low_aesthetic")

    def _new_model(self) -> AestheticScorer:
        return AestheticScorer(self._folder(), max(1, int(self.resources.cpus)))

    def _folder(self) -> str:
        if self.model_dir is None:
            message = (
                f"stage {self.name!r} needs model_dir, a folder with a predictor of aesthetics (.onnx, .safetensors or .npz) for the "
                "embeddings that images have; none comes with a package"
            )
            raise OptionError(message)
        return self.model_dir
