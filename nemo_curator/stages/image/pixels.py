"""What stages ask of images before they work on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import OptionError
from nemo_curator.tasks import ImageBatch, ImageObject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["check_batch_size", "embeddings_of", "in_chunks", "pixels_of", "rgb"]


def check_batch_size(size: int, stage: str) -> None:
    """Raise `OptionError` unless a model can be given that many images at a time."""
    if size < 1:
        message = f"stage {stage!r}: model_inference_batch_size must be at least 1, got {size}"
        raise OptionError(message)


def in_chunks(images: Sequence[ImageObject], size: int) -> list[Sequence[ImageObject]]:
    """Return images, at most `size` at a time."""
    return [images[start : start + size] for start in range(0, len(images), size)]


def pixels_of(images: Sequence[ImageObject], stage: str) -> list[NDArray[np.uint8]]:
    """Return the pixels of images as RGB.

    Raises:
        ValueError: An image has none.
    """
    for image in images:
        if image.image_data is None:
            message = (
                f"stage {stage!r}: image {image.image_id!r} has no pixels (image_data). A stage before has removed them; "
                "look for remove_image_data=True"
            )
            raise ValueError(message)
    return [rgb(image.image_data) for image in images]


def rgb(pixels: Any) -> NDArray[np.uint8]:
    """Return pixels as uint8 of shape ``(height, width, 3)``: grey ones three times, channels after the third left out, values clipped."""
    import numpy as np

    if pixels.dtype != np.uint8:
        pixels = np.clip(np.nan_to_num(pixels), 0, 255).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return np.repeat(pixels[:, :, :1], 3, axis=2) if pixels.shape[2] < 3 else pixels[:, :, :3]


def embeddings_of(images: Sequence[ImageObject], task: ImageBatch, stage: str) -> NDArray[np.float32]:
    """Return the embeddings of images, float32 of shape ``(images, dimensions)``.

    Raises:
        ValueError: An image has none, or they have different lengths.
    """
    import numpy as np

    for image in images:
        if image.embedding is None:
            message = (
                f"stage {stage!r}: image {image.image_id!r} of task {task.task_id or task.dataset_name} has no embedding; "
                "put ImageEmbeddingStage before this one"
            )
            raise ValueError(message)
    vectors = [np.asarray(image.embedding, dtype=np.float32).reshape(-1) for image in images]
    lengths = sorted({len(vector) for vector in vectors})
    if len(lengths) > 1:
        message = (
            f"stage {stage!r}: embeddings of task {task.task_id or task.dataset_name} have different lengths: {lengths}"
        )
        raise ValueError(message)
    return np.stack(vectors)
