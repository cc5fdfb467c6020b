"""`arrow_array` is `pyarrow.array` for plain values, without pandas."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.utils.arrow_array import arrow_array

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


def test_it_does_not_import_pandas() -> None:
    program = (
        "import sys, numpy as np\n"
        "from nemo_curator.utils.arrow_array import arrow_array\n"
        "for values in (['a', None], [1, None], [1.0], [True, None], np.arange(3), np.ones(3, np.float32)):\n"
        "    arrow_array(values)\n"
        "print('pandas' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"
