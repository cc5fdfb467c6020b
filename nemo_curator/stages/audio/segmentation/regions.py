"""From probabilities of speech to regions of speech. Pure: numbers in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["RegionRules", "speech_regions"]

_HYSTERESIS = 0.15
_LOWEST = 0.01


@dataclass(frozen=True, slots=True)
class RegionRules:
    """What a region of speech is. All lengths in the unit of the frames: 1.0 is one frame.

    Attributes:
        threshold: Speech begins in a frame of this probability; it goes on until one is below it by 0.15.
        min_gap: A shorter pause does not part two regions.
        min_length: A shorter region is none.
        max_length: A longer region is parted where speech is least likely, in the second half of what is allowed.
        pad: What a region gets before and after, as far as there is room; between two regions the room is shared.
    """

    threshold: float
    min_gap: float
    min_length: float
    max_length: float
    pad: float


def speech_regions(
    probabilities: np.ndarray[Any, np.dtype[np.float32]], total: float, rules: RegionRules
) -> list[tuple[float, float]]:
    """Return where somebody speaks: start and end of regions, sorted, that do not overlap and none of which is longer than allowed.

    Args:
        probabilities: One for each frame.
        total: Length of the sound in frames; the last frame may be cut off.
        rules: What a region is.
    """
    runs = _merged(_runs(probabilities, rules.threshold), rules.min_gap)
    long_enough = [(start, min(end, total)) for start, end in runs if min(end, total) - start >= rules.min_length]
    padded = _padded(long_enough, total, rules.pad)
    return [piece for start, end in padded for piece in _parted(start, end, probabilities, rules)]


def _runs(probabilities: np.ndarray[Any, Any], threshold: float) -> list[tuple[int, int]]:
    """Return where the detector is on: it switches on at the threshold, and off some way below it."""
    import numpy as np

    off_below = max(threshold - _HYSTERESIS, min(_LOWEST, threshold))
    switches = np.where(probabilities >= threshold, 1, np.where(probabilities < off_below, -1, 0))
    last_switch = np.maximum.accumulate(np.where(switches != 0, np.arange(len(switches)), -1))
    on = (last_switch >= 0) & (switches[last_switch] == 1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _merged(runs: list[tuple[int, int]], min_gap: float) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in runs:
        if merged and start - merged[-1][1] < min_gap:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def _padded(runs: list[tuple[int, float]], total: float, pad: float) -> list[tuple[float, float]]:
    padded: list[tuple[float, float]] = []
    for at, (start, end) in enumerate(runs):
        before = pad if at == 0 else min(pad, (start - runs[at - 1][1]) / 2)
        after = pad if at == len(runs) - 1 else min(pad, (runs[at + 1][0] - end) / 2)
        padded.append((max(0.0, start - before), min(total, end + after)))
    return padded


def _parted(
    start: float, end: float, probabilities: np.ndarray[Any, Any], rules: RegionRules
) -> Iterator[tuple[float, float]]:
    while end - start > rules.max_length:
        lowest, highest = start + rules.max_length / 2, start + rules.max_length
        # What is left over shall be long enough too, if that can be.
        highest = max(lowest, min(highest, end - rules.min_length))
        candidates = range(math.ceil(lowest), min(math.floor(highest) + 1, len(probabilities)))
        cut = float(min(candidates, key=lambda frame: probabilities[frame], default=highest))
        yield start, cut
        start = cut
    yield start, end
