"""Arrow arrays of plain values and back, without what `pyarrow.array` and ``to_numpy`` import for it.

They ask of what they are given whether it is one of pandas' objects, and import pandas to ask: half a second of CPU and 40 MB in every
worker of a pipeline that has nothing to do with pandas. Buffers can be filled and read without that.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

__all__ = ["arrow_array", "numpy_of"]

_LARGEST_OFFSET = 2**31 - 1


def arrow_array(values: Any, kind: pa.DataType | None = None) -> pa.Array | pa.ChunkedArray:
    """Return what `pyarrow.array` returns for the same arguments, and raise what it raises; faster for lists of one plain type.

    Args:
        values: A list of values of one of the types str, int, float and bool, perhaps with `None` among them, or a NumPy array of numbers
            with one dimension: those do not import pandas. Anything else goes to `pyarrow.array`.
        kind: The type wanted; guessed from the values unless given.
    """
    import numpy as np
    import pyarrow as pa

    made = _of_numbers(values, kind) if isinstance(values, np.ndarray) else _of_list(values, kind)
    return pa.array(values, kind) if made is None else made


def numpy_of(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return what ``to_numpy`` does, of the same memory where these are numbers in one piece, and none is missing."""
    import numpy as np
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if array.null_count or not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        return array.to_numpy(zero_copy_only=False)
    dtype, values = array.type.to_pandas_dtype(), array.buffers()[1]
    if values is None:
        return np.empty(0, dtype)
    return np.frombuffer(values, dtype, offset=array.offset * np.dtype(dtype).itemsize, count=len(array))


def _of_numbers(values: Any, kind: pa.DataType | None) -> pa.Array | None:
    import numpy as np
    import pyarrow as pa

    if (
        values.ndim != 1
        or values.dtype.kind not in "iuf"
        or not values.dtype.isnative
        or isinstance(values, np.ma.MaskedArray)
    ):
        return None
    natural = pa.from_numpy_dtype(values.dtype)
    if kind is not None and kind != natural:
        return None
    return pa.Array.from_buffers(natural, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def _of_list(values: Any, kind: pa.DataType | None) -> pa.Array | None:
    if not isinstance(values, list):
        return None
    import pyarrow as pa

    types = set(map(type, values))
    missing = type(None) in types
    plain = types - {type(None)}
    if not plain:
        return pa.nulls(len(values), kind)
    if len(plain) != 1:
        return None
    fill = {str: _texts, int: _integers, float: _floats, bool: _truths}.get(plain.pop())
    if fill is None:
        return None
    made = fill(values, kind)
    if made is None:
        return None
    validity = _bits([value is not None for value in values]) if missing else None
    return pa.Array.from_buffers(made[0], len(values), [validity, *made[1]])


_Made = tuple["pa.DataType", list["pa.Buffer"]] | None


def _texts(values: Sequence[str | None], kind: pa.DataType | None) -> _Made:
    import pyarrow as pa

    kind = kind or pa.string()
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    encoded = [b"" if value is None else value.encode() for value in values]
    offsets = list(accumulate(map(len, encoded), initial=0))
    large = pa.types.is_large_string(kind)
    if offsets[-1] > _LARGEST_OFFSET and not large:
        return None
    return kind, [pa.py_buffer(array("q" if large else "i", offsets)), pa.py_buffer(b"".join(encoded))]


def _integers(values: Sequence[int | None], kind: pa.DataType | None) -> _Made:
    import pyarrow as pa

    return _packed(values, kind, pa.int64(), "q")


def _floats(values: Sequence[float | None], kind: pa.DataType | None) -> _Made:
    import pyarrow as pa

    return _packed(values, kind, pa.float64(), "d")


def _packed(values: Sequence[Any], kind: pa.DataType | None, natural: pa.DataType, code: str) -> _Made:
    import pyarrow as pa

    if kind is not None and kind != natural:
        return None
    try:
        packed = array(code, [0 if value is None else value for value in values])
    except OverflowError:
        return None
    return natural, [pa.py_buffer(packed)]


def _truths(values: Sequence[bool | None], kind: pa.DataType | None) -> _Made:
    import pyarrow as pa

    if kind is not None and not pa.types.is_boolean(kind):
        return None
    return pa.bool_(), [_bits(values)]


def _bits(flags: Sequence[bool | None]) -> pa.Buffer:
    import numpy as np
    import pyarrow as pa

    return pa.py_buffer(np.packbits(np.array(flags, np.bool_), bitorder="little"))
