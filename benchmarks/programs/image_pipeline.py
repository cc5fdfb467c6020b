"""Decode, resize and embed images with our stages and our local engine: ``image_pipeline WORKERS FOLDER``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.image.embedders import ImageEmbeddingStage
from nemo_curator.stages.image.io import ImageFolderReader
from nemo_curator.tasks import ImageBatch


def count(outputs: Sequence[ImageBatch]) -> int:
    """Return how many images have a vector."""
    return sum(image.embedding is not None for batch in outputs for image in batch.data)


def main(workers: str, folder: str) -> None:
    """Run the pipeline; pixels stay in the workers."""
    stages = [
        # The reader decodes at half or a quarter of the size where that is enough, and resizes.
        ImageFolderReader(folder, files_per_partition=16, shorter_side=256),
        ImageEmbeddingStage(remove_image_data=True),
    ]
    outputs = Pipeline(name="images", stages=stages).run(LocalExecutor(num_workers=int(workers))) or []
    print(json.dumps({"images": count(outputs)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
