"""Photographs that come with scikit-image and scikit-learn, and what happens to photographs on the web.

scikit-image's are public domain or CC0, but for the motorcycle, which is from the Middlebury stereo data sets of 2014. scikit-learn's are CC BY 2.0 (china.jpg by
Ken Lee, flower.jpg by dany13).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

NAMES = {
    "skimage": ("data", ["astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png",
                         "motorcycle_left.png", "rocket.jpg"]),
    "sklearn": ("datasets/images", ["china.jpg", "flower.jpg"]),
}  # fmt: skip
# Surfaces from above: photographs too, but each looks alike in all its parts.
TEXTURES = {"brick", "grass", "gravel"}


def folder_of(package: str, inner: str) -> Path:
    """Return a folder of an installed package, which is not imported for it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed, whose photographs this example is about")
    return Path(spec.origin).parent / inner


def photographs() -> dict[str, Image.Image]:
    """Return the photographs by name, in RGB."""
    found = {}
    for package, (inner, names) in NAMES.items():
        for name in names:
            found[Path(name).stem] = Image.open(folder_of(package, inner) / name).convert("RGB")
    return dict(sorted(found.items()))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Compress."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def blurred(image: Image.Image, radius: float) -> Image.Image:
    """Blur, with a Gaussian of that many pixels."""
    return image.filter(ImageFilter.GaussianBlur(radius))


def noisy(image: Image.Image, deviation: float) -> Image.Image:
    """Add noise, the same each time."""
    noise = np.random.default_rng(0).normal(0, deviation, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def scaled(image: Image.Image, factor: float) -> Image.Image:
    """Make it smaller or larger."""
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Cut off so much of every side that this share of each side is left."""
    left, top = round(image.width * (1 - share) / 2), round(image.height * (1 - share) / 2)
    return image.crop((left, top, image.width - left, image.height - top))


def brighter(image: Image.Image, factor: float) -> Image.Image:
    """Make it brighter."""
    return ImageEnhance.Brightness(image).enhance(factor)


Change = Callable[[Image.Image], Image.Image]

#: What makes a photograph worse, mildest first within a kind.
DAMAGE: dict[str, dict[str, Change]] = {
    "blur": {f"blur, {r} px": lambda image, r=r: blurred(image, r) for r in (1, 2, 4)},
    "compression": {f"JPEG, quality {q}": lambda image, q=q: jpeg(image, q) for q in (50, 20, 5)},
    "noise": {f"noise, deviation {s}": lambda image, s=s: noisy(image, s) for s in (10, 30)},
    "size": {f"scaled down and up by {f}": lambda image, f=f: scaled(scaled(image, 1 / f), f) for f in (2, 4)},
}  # fmt: skip

#: What leaves a photograph the same picture.
COPIES: dict[str, Change] = {
    "JPEG, quality 30": lambda image: jpeg(image, 30),
    "half the size": lambda image: scaled(image, 0.5),
    "a quarter of the size, JPEG 50": lambda image: jpeg(scaled(image, 0.25), 50),
    "brighter by 30 %": lambda image: brighter(image, 1.3),
    "blurred by 2 px": lambda image: blurred(image, 2),
    "cropped to 95 %": lambda image: cropped(image, 0.95),
    "cropped to 90 %": lambda image: cropped(image, 0.9),
    "cropped to 80 %": lambda image: cropped(image, 0.8),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}
