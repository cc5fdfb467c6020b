"""The same on Ray Data, as its guide does it: ``image_ray_data WORKERS FOLDER``. Runs in an environment of its own."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import ray

from benchmarks.programs.image_work import Embedder, resized


class Embed:
    """The model, once an actor."""

    def __init__(self) -> None:
        self._model = Embedder()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the vector of each image in a batch."""
        return {"score": np.asarray(self._model(batch["image"]))}


def smaller(row: dict[str, Any]) -> dict[str, Any]:
    """Resize an image."""
    return {"image": resized(row["image"])}


def main(workers: str, folder: str) -> None:
    """Run it on a cluster of this machine."""
    ray.init(num_cpus=int(workers), include_dashboard=False, log_to_driver=False)
    images = ray.data.read_images(folder, mode="RGB").map(smaller)
    # Half of the CPUs for the model, so that something is left to read with.
    scores = images.map_batches(Embed, batch_size=16, compute=ray.data.ActorPoolStrategy(min_size=1, max_size=2))
    print(json.dumps({"images": scores.count()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
