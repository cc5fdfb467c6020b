"""Images that are mostly text are told from photographs."""

from __future__ import annotations

import numpy as np
import pytest
from image_media import batch_of, photo

from nemo_curator.errors import OptionError
from nemo_curator.stages.image.filters.text_filter import ImageTextFilterStage
from nemo_curator.tasks import ImageBatch, ImageObject

pytest.importorskip("rapidocr")

# Loading the models takes a second.
READER = ImageTextFilterStage()


def test_pages_go_and_photographs_stay() -> None:
    task = batch_of(photo("page.png"), photo("chelsea.png"), photo("coffee.png"))
    kept = READER.process(task)
    assert [image.image_id for image in kept.data] == ["image_1", "image_2"]
    assert READER._consume_drops() == {"mostly_text": 1}
    assert task.data[0].metadata["text_ratio"] > 0.5
    assert any("Region-based segmentation" in line for line in task.data[0].metadata["ocr_text"])
    assert task.data[1].metadata == {"text_ratio": 0.0, "ocr_text": []}


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 60_000, 3), (60_000, 2, 3), (40, 2000, 3)], ids=str)
def test_images_of_any_shape_can_be_searched(shape: tuple[int, int, int]) -> None:
    task = ImageBatch("d", [ImageObject(image_data=np.zeros(shape, np.uint8))])
    assert READER.process(task).data[0].metadata == {"text_ratio": 0.0, "ocr_text": []}


def test_the_search_needs_some_pixels() -> None:
    with pytest.raises(OptionError, match="max_side"):
        ImageTextFilterStage(max_side=8)
