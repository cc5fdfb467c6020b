"""Measure the filter of text on pages and photographs of scikit-image.

python -m examples.image.text_ratio
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from examples.image.photographs import folder_of, photographs
from nemo_curator.stages.image.filters import ImageTextFilterStage
from nemo_curator.tasks import ImageBatch, ImageObject


def main() -> None:
    """Print what share of every image is text, and what was read."""
    images = photographs()
    for name in ("page", "text", "clock_motion", "coins", "logo", "horse"):
        images[name] = Image.open(folder_of("skimage", "data") / f"{name}.png").convert("RGB")
    batch = ImageBatch(
        "images", [ImageObject(image_id=name, image_data=np.asarray(image)) for name, image in images.items()]
    )
    ImageTextFilterStage(score_threshold=1).process(batch)
    for image in batch.data:
        print(f"{image.image_id:16} {image.metadata['text_ratio']:6.3f}  {' | '.join(image.metadata['ocr_text'])[:80]}")


if __name__ == "__main__":
    main()
