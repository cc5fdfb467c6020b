from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from nemo_curator.errors import DataError
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.tasks import DocumentBatch


def batch(data: Any) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=data)


def frame() -> DocumentBatch:
    return batch(pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]}, index=[5, 6, 7]))


def table() -> DocumentBatch:
    return batch(pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]}))


@pytest.mark.parametrize("make", [frame, table])
def test_columns_are_cut_together_and_the_batch_stays(make: Any) -> None:
    before = make()
    rows = Rows(before)
    assert rows.texts("b") == ["x", "", "z"]
    rows.set_column("c", [10, 20, 30])
    rows.keep([True, False, True])
    assert (rows.column("a"), rows.column("c"), len(rows)) == ([1, 3], [10, 30], 2)
    rows.set_column("a", ["one", "three"])
    rows.drop_column("b")
    out = rows.to_batch()
    assert out.to_pandas().to_dict("list") == {"a": ["one", "three"], "c": [10, 30]}
    assert type(out.data) is type(before.data)
    assert before.to_pandas().astype(object).equals(make().to_pandas().astype(object))


def test_a_frame_keeps_its_index_until_rows_are_taken() -> None:
    rows = Rows(frame())
    rows.keep([False, True, True])
    assert rows.to_batch().to_pandas().index.tolist() == [6, 7]
    rows.take([1, 1, 0])
    out = rows.to_batch().to_pandas()
    assert (out.index.tolist(), out["a"].tolist()) == ([0, 1, 2], [3, 3, 2])


def test_nothing_changed_is_the_batch_itself() -> None:
    for before in (frame(), table()):
        rows = Rows(before)
        rows.column("a")
        rows.keep([True, True, True])
        assert rows.to_batch() is before


def test_missing_values_are_none_or_nan() -> None:
    data = {"s": ["x", None], "n": [1.5, None], "l": [[1], None]}
    for each in (batch(pd.DataFrame(data)), batch(pa.table(data))):
        rows = Rows(each)
        assert (rows.column("s"), rows.column("l")) == (["x", None], [[1], None])
        assert str(rows.column("n")) == "[1.5, nan]"
    nullable = batch(pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}))
    assert str(Rows(nullable).column("n")) == "[1.0, nan]"


def test_a_table_keeps_the_type_of_a_column() -> None:
    large = batch(pa.table({"t": pa.array(["a", "b"], pa.large_string())}))
    for values in (["x", "y"], [None, None]):
        rows = Rows(large)
        rows.set_column("t", values)
        assert rows.to_batch().data.schema.field("t").type == pa.large_string()
    rows = Rows(large)
    rows.keep([False, False])
    rows.set_column("t", [])
    assert rows.to_batch().data.schema.field("t").type == pa.large_string()


def test_values_that_do_not_fit_are_refused() -> None:
    rows = Rows(table())
    with pytest.raises(DataError, match="2 values for 3 rows"):
        rows.set_column("c", [1, 2])
    rows.set_column("c", [1, "a", None])
    with pytest.raises(DataError, match=r"'c'.*NoneType, int, str"):
        rows.to_batch()
    with pytest.raises(KeyError):
        rows.column("nope")
