"""What a choice of bands and rows finds: the chance that two documents meet in a bucket."""

from __future__ import annotations

from nemo_curator.errors import OptionError

__all__ = ["describe_detection", "detection_probability", "threshold"]

_SHOWN = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99)


def detection_probability(jaccard: float, bands: int, rows: int) -> float:
    """Return the chance that two documents agree in at least one band, ``1 - (1 - s^r)^b``.

    (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4.2.)

    Args:
        jaccard: Similarity s of their sets of n-grams, from 0 to 1.
        bands: b, the number of bands.
        rows: r, the numbers of a signature in a band.

    Raises:
        OptionError: The similarity is outside of 0 to 1, or there is not one band and one row.
    """
    if not 0 <= jaccard <= 1:
        message = f"a Jaccard similarity is from 0 to 1, got {jaccard}"
        raise OptionError(message)
    if bands < 1 or rows < 1:
        message = f"there must be at least one band of one row, got {bands} bands of {rows}"
        raise OptionError(message)
    return 1 - (1 - jaccard**rows) ** bands


def threshold(bands: int, rows: int) -> float:
    """Return about where the curve is steepest, ``(1/b)^(1/r)``: most of what is more similar is found, most of what is less is not."""
    return (1 / bands) ** (1 / rows)


def describe_detection(bands: int, rows: int) -> str:
    """Return in words which share of pairs of a similarity is found."""
    curve = ", ".join(f"{similarity:g}: {detection_probability(similarity, bands, rows):.1%}" for similarity in _SHOWN)
    return f"{bands} bands of {rows} find, of pairs with a Jaccard similarity of {curve}; the threshold is about {threshold(bands, rows):.2f}"
