"""Arrow arrays that are made, and read, without pandas."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nemo_curator.utils.arrow_arrays import arrow_of, numpy_of, texts_of

_KINDS = ("int8", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
_numbers = st.sampled_from(_KINDS).flatmap(lambda kind: arrays(kind, st.integers(0, 20)))


@given(values=_numbers, step=st.sampled_from([1, 2, -1]))
def test_numbers_become_what_pyarrow_makes_of_them(values: np.ndarray, step: int) -> None:
    array = arrow_of(values[::step])
    array.validate(full=True)
    assert array.equals(pa.array(values[::step])) or np.isnan(values).any()
    np.testing.assert_array_equal(numpy_of(array), values[::step])


@given(values=_numbers, start=st.integers(0, 20), length=st.integers(0, 20), pieces=st.integers(0, 3))
def test_parts_of_columns_are_read_as_pyarrow_reads_them(
    values: np.ndarray, start: int, length: int, pieces: int
) -> None:
    part = pa.array(values).slice(start, length)
    column = pa.chunked_array([part] * pieces, part.type)
    for given_column in (part, column):
        found, wanted = numpy_of(given_column), given_column.to_numpy()
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("array", [pa.array([1, None]), pa.array([True, False]), pa.array(["a", "b"])], ids=str)
def test_what_are_no_plain_numbers_is_read_as_pyarrow_reads_it(array: pa.Array) -> None:
    np.testing.assert_array_equal(numpy_of(array), array.to_numpy(zero_copy_only=False))


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9)))
def test_texts_become_what_pyarrow_makes_of_them(texts: list[str]) -> None:
    array = texts_of(texts)
    array.validate(full=True)
    assert array.equals(pa.array(texts, pa.string()))


def test_pandas_is_not_imported() -> None:
    code = (
        "import sys, numpy as np; from nemo_curator.utils.arrow_arrays import *; import pyarrow as pa;"
        "numpy_of(pa.chunked_array([arrow_of(np.arange(3))])); texts_of(['a']); print('pandas' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False"]
