"""Images: `ImageObject`, a batch of them, and the single-image tasks of OCR stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.tasks.base import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ImageBatch", "ImageObject", "ImageSampleTask", "ImageTaskData"]


def _no_metadata() -> dict[str, Any]:
    return {}


@dataclass
class ImageObject:
    """One image and what stages found out about it.

    Attributes:
        image_path: Where it came from.
        image_id: Its name within the data set.
        metadata: Anything that travels with it (caption, member name, ...).
        image_data: Pixels, height x width x 3, uint8 RGB.
        embedding: Vector of the image.
        aesthetic_score: The higher the better.
        nsfw_score: Probability in 0..1.
    """

    image_path: str = ""
    image_id: str = ""
    metadata: dict[str, Any] = field(default_factory=_no_metadata)
    image_data: NDArray[np.uint8] | None = None
    embedding: NDArray[np.float32] | None = None
    aesthetic_score: float | None = None
    nsfw_score: float | None = None


def _no_images() -> list[ImageObject]:
    return []


@dataclass(repr=False)
class ImageBatch(Task[list[ImageObject]]):
    """A batch of images."""

    data: list[ImageObject] = field(default_factory=_no_images)

    @property
    def num_items(self) -> int:
        """Number of images."""
        return len(self.data)

    def validate(self) -> bool:
        """Any list of images is fine, an empty one too."""
        return True


@dataclass(kw_only=True)
class ImageTaskData:
    """One image of a task that carries exactly one.

    Attributes:
        image_path: Where it came from.
        image_id: Its name within the data set.
        is_valid: Whether it could be read.
        error: Why it could not.
    """

    image_path: str = ""
    image_id: str = ""
    is_valid: bool = True
    error: str | None = None


@dataclass(repr=False, kw_only=True)
class ImageSampleTask(Task[ImageTaskData]):
    """A task of one image."""

    data: ImageTaskData = field(default_factory=ImageTaskData)

    @property
    def num_items(self) -> int:
        """Always 1."""
        return 1

    def validate(self) -> bool:
        """Always true; a broken image says so in its data."""
        return True
