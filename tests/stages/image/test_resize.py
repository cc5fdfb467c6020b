"""Images of the size that is wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from image_media import batch_of, gradient

from nemo_curator.errors import OptionError
from nemo_curator.stages.image.transforms import ImageResizeStage
from nemo_curator.tasks import ImageBatch, ImageObject


@pytest.mark.parametrize(
    ("options", "size", "becomes"),
    [
        ({"shorter_side": 50}, (200, 100), (100, 50)),
        ({"shorter_side": 50}, (20, 100), (20, 100)),
        ({"shorter_side": 50, "only_shrink": False}, (20, 100), (50, 250)),
        ({"longer_side": 50}, (200, 100), (50, 25)),
        ({"longer_side": 10}, (1000, 2), (10, 1)),
        ({"size": (60, 60)}, (200, 100), (60, 60)),
        ({"size": (60, 60)}, (40, 100), (40, 60)),
        ({"size": (60, 60), "only_shrink": False}, (40, 100), (60, 60)),
        ({"size": (33, 77)}, (101, 99), (33, 77)),
    ],
    ids=str,
)
def test_sizes(options: dict[str, Any], size: tuple[int, int], becomes: tuple[int, int]) -> None:
    (image,) = ImageResizeStage(**options).process(batch_of(gradient(*size))).data
    assert image.image_data is not None
    assert image.image_data.shape == (becomes[1], becomes[0], 3)


def test_the_middle_is_kept() -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 255
    (image,) = ImageResizeStage(size=(10, 10)).process(ImageBatch("d", [ImageObject(image_data=pixels)])).data
    assert image.image_data is not None
    assert image.image_data.min() == 255
    (image,) = ImageResizeStage(size=(5, 5)).process(ImageBatch("d", [ImageObject(image_data=pixels)])).data
    assert image.image_data is not None
    assert image.image_data[1:4, 1:4].min() > 250


@pytest.mark.parametrize("shape", [(1, 60_000, 3), (60_000, 2, 3)], ids=str)
def test_very_long_images_do_not_fill_the_memory(shape: tuple[int, int, int]) -> None:
    task = ImageBatch("d", [ImageObject(image_data=np.full(shape, 9, np.uint8))])
    (image,) = ImageResizeStage(size=(224, 224), only_shrink=False).process(task).data
    assert image.image_data is not None
    assert image.image_data.shape == (224, 224, 3)
    task = ImageBatch("d", [ImageObject(image_data=np.full(shape, 9, np.uint8))])
    stage = ImageResizeStage(shorter_side=224, only_shrink=False)
    assert stage.process(task).data == []
    assert stage._consume_drops() == {"too_many_pixels": 1}


@pytest.mark.parametrize(
    "options", [{}, {"shorter_side": 5, "longer_side": 6}, {"shorter_side": 0}, {"size": (5, 0)}], ids=str
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        ImageResizeStage(**options)


def test_grey_images_and_missing_pixels() -> None:
    grey = ImageBatch("d", [ImageObject(image_data=np.zeros((8, 8), np.uint8))])
    (image,) = ImageResizeStage(longer_side=4).process(grey).data
    assert image.image_data is not None
    assert image.image_data.shape == (4, 4, 3)
    with pytest.raises(ValueError, match="no pixels"):
        ImageResizeStage(longer_side=4).process(ImageBatch("d", [ImageObject(image_id="x")]))
