"""`BaseFilterStage`: what the filters that ask a model have in common."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from nemo_curator.errors import require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.pixels import check_batch_size, in_chunks
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import ImageBatch, ImageObject

__all__ = ["BaseFilterStage"]

_log = logging.getLogger(__name__)


class BaseFilterStage(ProcessingStage[ImageBatch, ImageBatch]):
    """Scores images with a model and leaves some out. A subclass defines `setup` and `process`.

    Args:
        model_dir: Folder of the model.
        num_gpus_per_worker: Taken for compatibility; models run on the CPU.
        model_inference_batch_size: Images in one batch of the model.
        score_threshold: Where keeping ends; which side is kept is the subclass's.
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
        name: str = "image_filter",
    ) -> None:
        check_batch_size(model_inference_batch_size, name)
        self.model_dir = model_dir
        self.num_gpus_per_worker = num_gpus_per_worker
        self.model_inference_batch_size = model_inference_batch_size
        self.score_threshold = score_threshold
        self.verbose = verbose
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry images."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry images."""
        return ["data"], []

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if NumPy or Pillow is not installed."""
        for package in ("numpy", "PIL"):
            require(package, extra="image", purpose=f"stage {self.name!r}")

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model. A subclass defines it."""
        message = f"{type(self).__name__} must define setup"
        raise NotImplementedError(message)

    def process(self, task: ImageBatch) -> ImageBatch:
        """Score images and leave some out. A subclass defines it."""
        message = f"{type(self).__name__} must define process"
        raise NotImplementedError(message)

    def yield_next_batch(self, task: ImageBatch) -> Iterator[Sequence[ImageObject]]:
        """Yield the images of a task, as many at a time as the model gets."""
        yield from in_chunks(task.data, self.model_inference_batch_size)

    def _kept(self, task: ImageBatch, keep: list[bool], reason: str | Sequence[str]) -> ImageBatch:
        """Return the images to keep; the others are counted, under one reason or under the one of each image."""
        reasons = [reason] * len(keep) if isinstance(reason, str) else reason
        images: list[ImageObject] = []
        for image, good, why in zip(task.data, keep, reasons, strict=True):
            if good:
                images.append(image)
            else:
                self.record_drops(why, 1)
        if self.verbose:
            _log.info("stage %r: kept %d of %d images of %s", self.name, len(images), len(keep), task.task_id)
        return ImageBatch(task.dataset_name, images)
