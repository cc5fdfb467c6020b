"""Embeddings as vectors of length 1 on a grid on which sums and products come out exactly, so that no order of adding changes them.

A component is a multiple of 2⁻²⁴. A product of two is a multiple of 2⁻⁴⁸, and as the products of two vectors of length 1 add up to no more than
1, every partial sum fits the 53 bits of a float64: it is exact, in any order, with any number of threads, in blocks of any shape, on any
machine. The same holds for the sum of up to 2²⁹ vectors. What rounding to the grid moves a vector by is less than float32 does.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError
from nemo_curator.stages.deduplication.columns import arrow_functions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Matrix = npt.NDArray[np.float64]
    Vectors = npt.NDArray[np.float32]
    Keys = npt.NDArray[np.uint64]

__all__ = ["KEY", "keys_of", "matrix_of", "rounded", "uniform", "unit_vectors"]

KEY = "_vector_key"
"""The column of numbers that chance is drawn from: what a vector is chosen for depends on its id, and not on where it lies."""
VECTOR_BITS = 24
_ROWS = 4096
_GOLDEN, _MIX1, _MIX2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def rounded(values: Matrix, bits: int) -> Matrix:
    """Return values as the nearest multiples of ``2**-bits``."""
    import numpy as np

    return np.ldexp(np.rint(np.ldexp(values, bits)), -bits)


def unit_vectors(
    column: pa.Array, where: str, dimensions: int | None = None
) -> tuple[Vectors, npt.NDArray[np.int64], dict[str, int]]:
    """Return the embeddings of a column as vectors of length 1 on the grid.

    Args:
        column: Lists of numbers, of fixed size or not.
        where: Says in a message which column of what it is.
        dimensions: How long each must be; `None` for as long as the first.

    Returns:
        The vectors, shape (m, d); the rows that they are of, ascending, shape (m,); and how many rows have none, by reason:
        ``embedding_missing`` (null or empty), ``embedding_not_finite`` (NaN, infinite, or a null in it), ``embedding_zero``.

    Raises:
        DataError: The column is something else, or embeddings are of different lengths.
    """
    import numpy as np

    lists = _as_lists(column, where)
    pc = arrow_functions()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(lengths)
    reasons = {"embedding_missing": len(lists) - len(rows)}
    if not len(rows):
        return np.zeros((0, dimensions or 0), np.float32), rows, reasons
    wanted = dimensions or int(lengths[rows[0]])
    other = rows[lengths[rows] != wanted]
    if len(other):
        message = (
            f"{where}: the embedding in row {other[0]} has {lengths[other[0]]} dimensions, where {wanted} are wanted. "
            "Embeddings can only be compared if one model made all of them"
        )
        raise DataError(message)
    present = lists if len(rows) == len(lists) else lists.take(rows)
    flat = present.flatten().to_numpy(zero_copy_only=False).reshape(len(rows), wanted)
    units = np.empty(flat.shape, np.float32)
    finite, filled = np.empty(len(rows), bool), np.empty(len(rows), bool)
    for first in range(0, len(rows), _ROWS):
        part = slice(first, first + _ROWS)
        units[part], finite[part], filled[part] = _normalized(flat[part].astype(np.float64))
    reasons["embedding_not_finite"] = int((~finite).sum())
    reasons["embedding_zero"] = int((finite & ~filled).sum())
    good = finite & filled
    return units if good.all() else units[good], rows[good], reasons


def _as_lists(column: pa.Array, where: str) -> pa.Array:
    import pyarrow as pa

    column = column.storage if isinstance(column, pa.ExtensionArray) else column
    kind = column.type
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.list_(pa.float32()))
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    values = kind.value_type if is_list else kind
    if is_list and pa.types.is_null(values):
        return pa.nulls(len(column), pa.list_(pa.float32()))
    if not is_list or not (pa.types.is_floating(values) or pa.types.is_integer(values)):
        message = (
            f"{where}: it is of type {kind}, but embeddings are lists of numbers. Name the column with embedding_field"
        )
        raise DataError(message)
    return column


def _normalized(part: Matrix) -> tuple[Matrix, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return vectors of length 1 on the grid, which rows are finite, and which are not all zero."""
    import numpy as np

    finite = np.asarray(np.isfinite(part).all(axis=1))
    part[~finite] = 0
    _, exponents = np.frexp(np.abs(part).max(axis=1))
    # By a power of two, which rounds nothing: squares of very large and very small numbers fit.
    scaled = np.ldexp(part, -exponents[:, None])
    lengths = np.sqrt((scaled * scaled).sum(axis=1))
    filled = lengths > 0
    unit = rounded(scaled / np.where(filled, lengths, 1)[:, None], VECTOR_BITS)
    # What is on the grid already stays as it is, so that doing it again changes nothing.
    tolerance = np.ldexp(np.sqrt(part.shape[1]), -VECTOR_BITS)
    length = np.ldexp(lengths, exponents)
    done = (np.abs(length - 1) <= tolerance) & (rounded(part, VECTOR_BITS) == part).all(axis=1)
    unit[done] = part[done]
    return unit, finite, filled


def matrix_of(column: pa.Array) -> Vectors:
    """Return the vectors that a column of fixed-size lists without nulls holds, from where they lie."""
    width = column.type.list_size
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), width)


def keys_of(ids: pa.Array) -> Keys:
    """Return a number for every id: a whole number itself, and of text eight bytes of a digest (BLAKE2b)."""
    import numpy as np
    import pyarrow as pa

    if pa.types.is_integer(ids.type):
        return ids.to_numpy(zero_copy_only=False).view(np.uint64)
    digests = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in ids.to_pylist()]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def uniform(keys: Keys, *seeds: int) -> Matrix:
    """Return a number above 0 and below 1 for every key, the same for the same seeds: 52 bits of a mixed key.

    (The mixing function is that of SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.)
    """
    import numpy as np

    state: Any = np.zeros(1, np.uint64)
    for seed in seeds:
        state = _mixed(state ^ np.uint64(seed % 2**64))
    return ((_mixed(_mixed(keys ^ state)) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def _mixed(values: Keys) -> Keys:
    import numpy as np

    values = values + np.uint64(_GOLDEN)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_MIX1)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_MIX2)
    return values ^ (values >> np.uint64(31))
