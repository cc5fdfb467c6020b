"""Numbers and texts as Arrow arrays and back, without pandas.

`pyarrow.array` and ``to_numpy`` import pandas where it is installed, to see whether they were given something of it: a third of a second in
every worker that has no other use for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

__all__ = ["arrow_of", "numpy_of", "texts_of"]


def arrow_of(values: npt.NDArray[Any]) -> pa.Array:
    """Return numbers, of any type of whole numbers or fractions, as an Arrow array of the same memory."""
    import numpy as np
    import pyarrow as pa

    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


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


def texts_of(texts: Sequence[str]) -> pa.StringArray:
    """Return texts, of two gigabytes at most, as an Arrow array."""
    import numpy as np
    import pyarrow as pa

    content = [text.encode() for text in texts]
    offsets = np.zeros(len(content) + 1, np.int32)
    np.cumsum([len(each) for each in content], out=offsets[1:])
    return pa.StringArray.from_buffers(len(content), pa.py_buffer(offsets), pa.py_buffer(b"".join(content)))
