"""`ImageResizeStage`: images of a size that a model or a disk wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.errors import OptionError, require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.io.decode import MAX_PIXELS
from nemo_curator.stages.image.pixels import pixels_of
from nemo_curator.tasks import ImageBatch, ImageObject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ImageResizeStage"]


class ImageResizeStage(ProcessingStage[ImageBatch, ImageBatch]):
    """Scales images, with Lanczos' filter. Exactly one of the first three arguments says to what.

    Args:
        shorter_side: Pixels of the shorter side; proportions stay.
        longer_side: Pixels of the longer side; proportions stay.
        size: Width and height. Images are scaled until they cover it, and what stands over is cut off, the same on both sides.
        only_shrink: Leave an image as it is rather than make it larger. With `size`, the middle of a smaller image is cut out.
        name: Name of the stage.

    Raises:
        OptionError: None of the three is given, several are, or one is below 1.
    """

    def __init__(
        self,
        shorter_side: int | None = None,
        longer_side: int | None = None,
        size: tuple[int, int] | None = None,
        *,
        only_shrink: bool = True,
        name: str = "image_resize",
    ) -> None:
        given = [value for value in (shorter_side, longer_side, size) if value is not None]
        if len(given) != 1:
            message = f"stage {name!r}: give one of shorter_side, longer_side and size, got {len(given)} of them"
            raise OptionError(message)
        if min(size or (shorter_side or longer_side or 0,)) < 1:
            message = f"stage {name!r}: sides must have at least 1 pixel, got {given[0]}"
            raise OptionError(message)
        self.shorter_side = shorter_side
        self.longer_side = longer_side
        self.size = size
        self.only_shrink = only_shrink
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry images."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry images."""
        return ["data"], []

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if Pillow or NumPy is not installed."""
        for package in ("PIL", "numpy"):
            require(package, extra="image", purpose=f"stage {self.name!r}")

    def process(self, task: ImageBatch) -> ImageBatch:
        """Return the images with other pixels; one that would have more than 89 million is left out (``too_many_pixels``).

        Raises:
            ValueError: An image has no pixels.
        """
        images: list[ImageObject] = []
        for image, pixels in zip(task.data, pixels_of(task.data, self.name), strict=True):
            resized = self._cut(pixels, *self.size) if self.size else self._scaled(pixels)
            if resized is None:
                self.record_drops("too_many_pixels", 1)
                continue
            image.image_data = resized
            images.append(image)
        return ImageBatch(task.dataset_name, images)

    def _scaled(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        height, width = pixels.shape[:2]
        scale = (
            self.shorter_side / min(width, height)
            if self.shorter_side
            else (self.longer_side or 1) / max(width, height)
        )
        if self.only_shrink:
            scale = min(scale, 1.0)
        wanted = (max(1, round(width * scale)), max(1, round(height * scale)))
        if wanted[0] * wanted[1] > MAX_PIXELS:
            return None
        return pixels if wanted == (width, height) else _resized(pixels, wanted, (0, 0, width, height))

    def _cut(self, pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
        there = pixels.shape[1], pixels.shape[0]
        scale = max(width / there[0], height / there[1])
        if self.only_shrink:
            scale = min(scale, 1.0)
        wanted = (min(width, max(1, round(there[0] * scale))), min(height, max(1, round(there[1] * scale))))
        # Cut out first: scaling all of an image that is a thousand times as long as wide would fill the memory.
        part = (min(there[0], wanted[0] / scale), min(there[1], wanted[1] / scale))
        left, top = (there[0] - part[0]) / 2, (there[1] - part[1]) / 2
        if scale == 1:
            left, top = int(left), int(top)
        return _resized(pixels, wanted, (left, top, left + part[0], top + part[1]))


def _resized(
    pixels: NDArray[np.uint8], size: tuple[int, int], box: tuple[float, float, float, float]
) -> NDArray[np.uint8]:
    import numpy as np
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.array(image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0))
