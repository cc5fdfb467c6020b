"""`ImageQualityFilterStage`: leaves out images that are blurred, noisy, scaled up or compressed too hard."""

from __future__ import annotations

import os

from nemo_curator.errors import require
from nemo_curator.models.loaded import loaded
from nemo_curator.stages.image.filters.base import BaseFilterStage
from nemo_curator.stages.image.filters.naturalness import DEFAULT_MODEL, NaturalnessModel
from nemo_curator.stages.image.pixels import pixels_of
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import ImageBatch

__all__ = ["ImageQualityFilterStage"]


class ImageQualityFilterStage(BaseFilterStage):
    """Adds ``quality_distance`` to the metadata of images: how far they are from good photographs, 0 or more; the higher, the worse.

    Images above the threshold are left out and counted as ``low_quality``. The measure knows photographs: drawings, telescopes' and microscopes' pictures
    and screenshots are far from them too, however good. It sees pixels, so judge images before they are scaled down, which hides what is wrong.

    Args:
        score_threshold: The largest distance to keep.
        model_path: A model of good photographs like yours, made by `nemo_curator.stages.image.filters.naturalness.fit_naturalness`.
        keep_unscored: Keep images that are smaller than 96 pixels on a side, which cannot be judged and get `None`; otherwise
            they are counted as ``too_small``.
        verbose: Log a line for every task.
        name: Name of the stage.
    """

    def __init__(
        self,
        score_threshold: float = 15.0,
        model_path: str | None = None,
        keep_unscored: bool = True,
        verbose: bool = False,
        name: str = "image_quality_filter",
    ) -> None:
        super().__init__(score_threshold=score_threshold, verbose=verbose, name=name)
        self.model_path = None if model_path is None else os.path.abspath(model_path)
        self.keep_unscored = keep_unscored

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if SciPy is not installed, `InputError` or `DataError` if the model is not there or is none."""
        super().check_before_run()
        require("scipy", extra="image", purpose=f"stage {self.name!r}")
        NaturalnessModel.load(self.model_path or DEFAULT_MODEL)

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model."""
        if "model" not in loaded(self):
            loaded(self)["model"] = NaturalnessModel.load(self.model_path or DEFAULT_MODEL)

    def teardown(self) -> None:
        """Forget the model."""
        loaded(self).clear()

    def process(self, task: ImageBatch) -> ImageBatch:
        """Return the images that are good enough.

        Raises:
            ValueError: An image has no pixels.
        """
        self.setup()
        model: NaturalnessModel = loaded(self)["model"]
        keep: list[bool] = []
        reasons: list[str] = []
        for image, pixels in zip(task.data, pixels_of(task.data, self.name), strict=True):
            distance = model.distance(pixels)
            image.metadata = {**image.metadata, "quality_distance": distance}
            keep.append(self.keep_unscored if distance is None else distance <= self.score_threshold)
            reasons.append("too_small" if distance is None else "low_quality")
        return self._kept(task, keep, reasons)
