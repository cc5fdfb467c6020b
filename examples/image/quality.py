"""Measure the quality filter on photographs that were damaged, and make the model of good photographs that the package ships.

    python -m examples.image.quality          figures
    python -m examples.image.quality --fit    writes nemo_curator/stages/image/filters/good_photographs.npz

For the figures every photograph is judged by a model of the others, so that no number comes from a photograph that the model has seen.
"""

from __future__ import annotations

import sys

import numpy as np

from examples.image.photographs import DAMAGE, TEXTURES, photographs
from nemo_curator.stages.image.filters.naturalness import DEFAULT_MODEL, fit_naturalness
from nemo_curator.stages.image.filters.quality_filter import ImageQualityFilterStage

LIMIT = ImageQualityFilterStage().score_threshold


def figures() -> None:
    """Print a table: for every kind of damage how far photographs are from good ones, and how many are left out."""
    photos = photographs()
    versions = {"as it is": lambda image: image} | {
        name: change for kind in DAMAGE.values() for name, change in kind.items()
    }
    distances: dict[str, list[float]] = {name: [] for name in versions}
    for name, photo in photos.items():
        if name in TEXTURES:
            continue
        model = fit_naturalness(np.asarray(other) for key, other in photos.items() if key != name)
        for version, change in versions.items():
            distance = model.distance(np.asarray(change(photo)))
            distances[version].append(float("nan") if distance is None else distance)
    originals = np.array(distances["as it is"])
    print(f"{'':30} {'distance':>8} {'range':>13} {'worse than original':>20} {f'above {LIMIT:g}':>10}")
    for version, values in distances.items():
        found = np.array(values)
        worse = "" if version == "as it is" else f"{(found > originals).sum()} of {len(found)}"
        spread = f"{found.min():.1f} to {found.max():.1f}"
        print(
            f"{version:30} {found.mean():8.1f} {spread:>13} {worse:>20} {f'{(found > LIMIT).sum()} of {len(found)}':>10}"
        )
    for kind, levels in DAMAGE.items():
        rows = np.array([distances[name] for name in ("as it is", *levels)])
        right = (np.diff(rows, axis=0) > 0).sum()
        print(f"{kind}: {right} of {rows[1:].size} steps to more damage are steps to a larger distance")


if __name__ == "__main__":
    if sys.argv[1:] == ["--fit"]:
        fit_naturalness((np.asarray(photo) for photo in photographs().values()), DEFAULT_MODEL)
        print(f"wrote {DEFAULT_MODEL.name}")
    else:
        figures()
