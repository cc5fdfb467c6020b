"""Batches of texts of like length, so that a model pads little; results in the order of the texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemo_curator.stages.text.models.base import Matrix

__all__ = ["batches_by_length", "in_batches"]


def batches_by_length(texts: Sequence[Sized], size: int, *, sort: bool = True) -> Iterator[list[int]]:
    """Yield positions of `texts`, at most `size` at a time; the longest first if sorted, so that what does not fit in memory shows at once."""
    order = sorted(range(len(texts)), key=lambda at: (-len(texts[at]), at)) if sort else list(range(len(texts)))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def in_batches(
    call: Callable[[Sequence[str]], Matrix], texts: Sequence[str], width: int, *, size: int, sort: bool = True
) -> Matrix:
    """Return what `call` makes of all texts, float32 of shape ``(len(texts), width)``, row k of text k.

    Raises:
        DataError: `call` returned another shape.
    """
    import numpy as np

    from nemo_curator.errors import DataError

    result = np.empty((len(texts), width), dtype=np.float32)
    for positions in batches_by_length(texts, size, sort=sort):
        rows = call([texts[at] for at in positions])
        if rows.shape != (len(positions), width):
            message = f"a model returned numbers of shape {rows.shape} for {len(positions)} texts; expected {(len(positions), width)}"
            raise DataError(message)
        result[positions] = rows
    return result
