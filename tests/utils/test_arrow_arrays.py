"""`arrow_array` and `numpy_of` are `pyarrow.array` and ``to_numpy`` for plain values, without pandas."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nemo_curator.utils.arrow_arrays import arrow_array, numpy_of

_COLUMNS = st.one_of(
    st.lists(kind)
    for kind in (
        st.none() | st.text(),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(),
        st.none() | st.booleans(),
        st.text(),
        st.floats(),
        st.booleans(),
        st.none() | st.integers(0, 5) | st.floats(0, 5),
        st.lists(st.integers(0, 5)),
        st.binary(),
        st.none(),
    )
)


def _same(mine: Any, theirs: Any) -> bool:
    mine.validate(full=True)
    # NaN is not equal to itself, but is written the same.
    return mine.type == theirs.type and list(map(repr, mine.to_pylist())) == list(map(repr, theirs.to_pylist()))


@given(_COLUMNS)
def test_it_is_what_pyarrow_makes_of_a_list(values: list[Any]) -> None:
    assert _same(arrow_array(values), pa.array(values))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", None, "ü"], pa.large_string()),
        (["a", None], pa.string_view()),
        ([1, None], pa.int32()),
        ([1, 2], pa.float64()),
        ([1.5, None], pa.float32()),
        ([True, None], pa.bool_()),
        ([True, False], pa.int8()),
        ([], pa.int64()),
        ([None], pa.string()),
        (np.arange(5), None),
        (np.arange(10)[::2], None),
        (np.arange(5, dtype=">i4"), None),
        (np.arange(5, dtype=np.float32), pa.float32()),
        (np.arange(5), pa.float32()),
        (np.array([True, False, True]), None),
        (np.array(["a", "b"]), None),
        (range(3), pa.int64()),
        ((1, 2), None),
    ],
)
def test_it_is_what_pyarrow_makes_with_a_type(values: Any, kind: pa.DataType | None) -> None:
    try:
        theirs = pa.array(values, kind)
    except pa.ArrowException as error:
        with pytest.raises(type(error)):
            arrow_array(values, kind)
    else:
        assert _same(arrow_array(values, kind), theirs)


@pytest.mark.parametrize("values", [["a", 1], [1, "a"], [2**64], ["\ud800"], [{"a": 1}, 2]])
def test_it_raises_what_pyarrow_raises(values: list[Any]) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever it is, it must be the same
        pa.array(values)
    with pytest.raises(type(theirs.value)):
        arrow_array(values)


_KINDS = ("int8", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
_numbers = st.sampled_from(_KINDS).flatmap(lambda kind: arrays(kind, st.integers(0, 20)))


@given(values=_numbers, step=st.sampled_from([1, 2, -1]))
def test_numbers_become_what_pyarrow_makes_of_them(values: np.ndarray, step: int) -> None:
    array = arrow_array(values[::step])
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


def test_it_does_not_import_pandas() -> None:
    program = (
        "import sys, numpy as np\n"
        "from nemo_curator.utils.arrow_arrays import arrow_array, numpy_of\n"
        "for values in ([1], [1.0], np.arange(3), np.ones(3, np.float32)):\n"
        "    numpy_of(arrow_array(values))\n"
        "for values in ([], ['a', None], [1, None], [True, None]):\n"
        "    arrow_array(values)\n"
        "print('pandas' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"
