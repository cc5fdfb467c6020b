"""The same by hand with a pool of processes: ``image_pool WORKERS FOLDER``."""

from __future__ import annotations

import json
import multiprocessing
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.programs.image_work import Embedder, resized

_MODEL: list[Embedder] = []


def load() -> None:
    """Load the model, once a process."""
    _MODEL.append(Embedder())


def embed(paths: list[str]) -> int:
    """Embed some files; return how many."""
    images: list[np.ndarray] = []
    for path in paths:
        with Image.open(path) as image:
            images.append(resized(np.asarray(image.convert("RGB"))))
    return len(_MODEL[0](images))


def main(workers: str, folder: str) -> None:
    """Divide the files among processes."""
    paths = sorted(map(str, Path(folder).glob("*.jpg")))
    parts = [paths[start : start + 16] for start in range(0, len(paths), 16)]
    with multiprocessing.get_context("spawn").Pool(int(workers), load) as pool:
        print(json.dumps({"images": sum(pool.imap_unordered(embed, parts))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
