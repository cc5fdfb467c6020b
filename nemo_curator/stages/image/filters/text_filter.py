"""`ImageTextFilterStage`: leaves out images that are mostly text: screenshots, scanned pages, memes, slides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemo_curator.errors import OptionError, require
from nemo_curator.models.loaded import loaded
from nemo_curator.stages.image.filters.base import BaseFilterStage
from nemo_curator.stages.image.pixels import pixels_of
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import ImageBatch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ImageTextFilterStage"]

# Of an image that is a hundred times as long as wide, so little is left when it is scaled down that the search refuses it.
_LEAST_SIDE = 4


class ImageTextFilterStage(BaseFilterStage):
    """Adds ``text_ratio``, the share of the image that lines of text cover, and ``ocr_text``, the lines, to the metadata of images.

    The models are PP-OCRv6, which come with the package rapidocr: one finds lines, one reads them. A line counts if it was
    read with confidence and has two characters or more: what is found in a photograph and is no text is mostly read as one. Images with a larger
    ratio than the threshold are left out and counted as ``mostly_text``.

    Args:
        score_threshold: The largest ratio to keep.
        max_side: Images are scaled down to this many pixels for the search. Less is faster; small print is then missed.
        min_confidence: What counts as read, from 0 to 1.
        min_characters: What counts as a line.
        verbose: Log a line for every task.
        name: Name of the stage.
    """

    def __init__(
        self,
        score_threshold: float = 0.2,
        max_side: int = 640,
        min_confidence: float = 0.5,
        min_characters: int = 2,
        verbose: bool = False,
        name: str = "image_text_filter",
    ) -> None:
        super().__init__(score_threshold=score_threshold, verbose=verbose, name=name)
        if max_side < 32:
            message = f"stage {name!r}: max_side must be at least 32 pixels, got {max_side}"
            raise OptionError(message)
        self.max_side = max_side
        self.min_confidence = min_confidence
        self.min_characters = min_characters

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if rapidocr or what it needs is not installed."""
        super().check_before_run()
        for package in ("rapidocr", "onnxruntime", "cv2"):
            require(package, extra="image", purpose=f"stage {self.name!r}")

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the models."""
        if "reader" in loaded(self):
            return
        self.check_before_run()
        from rapidocr import RapidOCR

        threads = max(1, int(self.resources.cpus))
        loaded(self)["reader"] = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.text_score": self.min_confidence,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Det.limit_type": "max",
                "Det.limit_side_len": self.max_side,
            }
        )

    def teardown(self) -> None:
        """Forget the models."""
        loaded(self).clear()

    def process(self, task: ImageBatch) -> ImageBatch:
        """Return the images that are not mostly text.

        Raises:
            ValueError: An image has no pixels.
        """
        self.setup()
        ratios: list[float] = []
        for image, pixels in zip(task.data, pixels_of(task.data, self.name), strict=True):
            ratio, lines = self._read(pixels)
            image.metadata = {**image.metadata, "text_ratio": ratio, "ocr_text": lines}
            ratios.append(ratio)
        return self._kept(task, [ratio <= self.score_threshold for ratio in ratios], "mostly_text")

    def _read(self, pixels: NDArray[np.uint8]) -> tuple[float, list[str]]:
        import cv2
        import numpy as np

        longer, shorter = max(pixels.shape[:2]), min(pixels.shape[:2])
        if shorter * min(1.0, self.max_side / longer) < _LEAST_SIDE:
            return 0.0, []
        # The models were trained on what OpenCV reads: blue, green, red.
        found: Any = loaded(self)["reader"](
            np.ascontiguousarray(pixels[:, :, ::-1]), use_det=True, use_cls=False, use_rec=True
        )
        if found.boxes is None or found.txts is None:
            return 0.0, []
        lines = [
            (box, text)
            for box, text in zip(found.boxes, found.txts, strict=True)
            if len(text.strip()) >= self.min_characters
        ]
        # Lines overlap, so areas cannot be added up.
        covered = np.zeros(pixels.shape[:2], np.uint8)
        for box, _ in lines:
            cv2.fillPoly(covered, [np.round(box).astype(np.int32)], 1)
        return round(float(covered.mean()), 4), [text for _, text in lines]
