"""The same with Daft's expressions and a model in a class: ``image_daft WORKERS FOLDER``. Runs in an environment of its own."""

from __future__ import annotations

import json
import sys
from typing import Any

import daft
import numpy as np
from daft import col

from benchmarks.programs.image_work import SHORTER_SIDE, Embedder


@daft.udf(return_dtype=daft.DataType.float64(), batch_size=16)
class Embed:
    """The model, once a process."""

    def __init__(self) -> None:
        self._model = Embedder()

    def __call__(self, images: Any) -> list[float]:
        """Return a number for each image."""
        return self._model([np.asarray(image) for image in images.to_pylist()])


def main(workers: str, folder: str) -> None:
    """Run it on Daft's own runner. Its resize takes a fixed size; here all images have the same proportions."""
    decoded = daft.from_glob_path(f"{folder}/*.jpg").select(
        col("path").download().decode_image(mode="RGB").alias("image")
    )
    small = decoded.select(col("image").resize(SHORTER_SIDE * 4 // 3, SHORTER_SIDE).alias("image"))
    scores = small.select(Embed.with_concurrency(int(workers))(col("image")).alias("score"))
    print(json.dumps({"images": scores.count_rows()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
