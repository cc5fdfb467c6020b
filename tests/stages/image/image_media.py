"""Photographs, files and archives that the tests of images share."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nemo_curator.tasks import FileGroupTask, ImageBatch, ImageObject


def photo(name: str) -> Image.Image:
    """One of the photographs that come with scikit-image, which is not imported for it."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        pytest.skip("scikit-image is not installed, whose photographs this test is about")
    return Image.open(Path(spec.origin).parent / "data" / name).convert("RGB")


def gradient(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    """An image whose corners tell which way is up."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 40 * seed % 256)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def make_tar(path: Path, members: Mapping[str, bytes], mode: str = "w") -> FileGroupTask:
    """Write an archive and return the task that names it."""
    with tarfile.open(path, mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return FileGroupTask(dataset_name="photos", data=[str(path)])


def batch_of(*images: Image.Image) -> ImageBatch:
    objects = [
        ImageObject(image_path=f"/photos/{number}.png", image_id=f"image_{number}", image_data=np.array(image))
        for number, image in enumerate(images)
    ]
    return ImageBatch(dataset_name="photos", data=objects)
