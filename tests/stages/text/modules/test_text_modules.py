from __future__ import annotations

import logging
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.text.modules import AddId, DocumentJoiner, DocumentSplitter
from nemo_curator.tasks import DocumentBatch


def frame(**columns: Any) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=pd.DataFrame(columns))


def table(**columns: Any) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=pa.table(columns))


def listed(batch: DocumentBatch) -> dict[str, list[Any]]:
    return {str(name): values for name, values in batch.to_pandas().to_dict("list").items()}


both = pytest.mark.parametrize("make", [frame, table])


@both
def test_ids_hold_prefix_task_and_row(make: Any) -> None:
    batch = make(text=["a", "b"])
    batch.task_id = "0_f00_1"
    assert listed(AddId("id").process(batch))["id"] == ["0_f00_1_0", "0_f00_1_1"]
    assert listed(AddId("id", "wiki").process(batch))["id"] == ["wiki_0_f00_1_0", "wiki_0_f00_1_1"]
    assert batch.get_columns() == ["text"]


def test_ids_count_rows_not_the_index() -> None:
    batch = DocumentBatch(dataset_name="d", data=pd.DataFrame({"text": ["a", "b"]}, index=[9, 9]))
    batch.task_id = "0"
    assert AddId("id").process(batch).to_pandas()["id"].tolist() == ["0_0", "0_1"]


def test_an_existing_id_is_kept_unless_told_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    batch = frame(id=["x"])
    batch.task_id = "0"
    with pytest.raises(ValueError, match="'id'"):
        AddId("id").process(batch)
    with caplog.at_level(logging.WARNING):
        assert listed(AddId("id", overwrite=True).process(batch)) == {"id": ["0_0"]}
    assert "replaces" in caplog.text


@both
def test_split_repeats_the_other_columns(make: Any) -> None:
    out = DocumentSplitter("|").process(make(text=["a|b", "c", ""], n=[1, 2, 3]))
    assert listed(out) == {"text": ["a", "b", "c", ""], "n": [1, 1, 2, 3], "segment_id": [0, 1, 0, 0]}
    assert out.to_pandas().index.tolist() == [0, 1, 2, 3]


def test_separators_are_literal() -> None:
    batch = frame(text=["a.+b.+c", "a..b"])
    assert listed(DocumentSplitter(".+").process(batch))["text"] == ["a", "b", "c", "a..b"]
    assert listed(DocumentSplitter("..").process(batch))["text"] == ["a.+b.+c", "a", "b"]
    with pytest.raises(ValueError, match="empty"):
        DocumentSplitter("")


@both
def test_a_missing_text_is_one_segment(make: Any) -> None:
    out = DocumentSplitter("|", "t", "s").process(make(t=["a|b", None])).to_pandas()
    assert out["s"].tolist() == [0, 1, 0]
    assert pd.isna(out["t"].iloc[2])


@both
def test_join_sorts_by_segment_and_keeps_first_values(make: Any) -> None:
    batch = make(id=["x", "y", "x", "x"], segment_id=[2, 0, 0, 1], text=["c", "z", "a", "b"], n=[1, 2, 3, 4])
    out = DocumentJoiner("-").process(batch)
    assert listed(out) == {"id": ["x", "y"], "text": ["a-b-c", "z"], "n": [3, 2]}
    kept = DocumentJoiner("-", drop_segment_id_field=False).process(batch)
    assert listed(kept)["segment_id"] == [0, 0]


@both
def test_join_up_to_a_length(make: Any) -> None:
    batch = make(id=["x"] * 5, segment_id=[0, 1, 2, 3, 4], text=["aa", "bb", "c", "dddddd", "e"], n=[2, 2, 1, 6, 1])
    out = DocumentJoiner("-", drop_segment_id_field=False, max_length=5, length_field="n").process(batch)
    assert listed(out) == {
        "id": ["x"] * 4,
        "segment_id": [0, 1, 2, 3],
        "text": ["aa-bb", "c", "dddddd", "e"],
        "n": [5, 1, 6, 1],
    }
    assert listed(DocumentJoiner("-", max_length=100, length_field="n").process(batch))["n"] == [16]


@both
def test_rows_without_an_id_are_not_joined(make: Any) -> None:
    out = DocumentJoiner("-").process(make(id=[None, "x", None], segment_id=[0, 0, 1], text=["a", "b", None]))
    assert out.to_pandas()["text"].tolist() == ["a", "b", ""]


def test_an_empty_batch_is_returned_as_it_is() -> None:
    empty = frame(id=[], segment_id=[], text=[])
    assert DocumentJoiner().process(empty) is empty
    assert DocumentSplitter("|").process(empty).get_columns() == ["id", "segment_id", "text"]
    assert AddId("doc").process(empty).get_columns() == ["id", "segment_id", "text", "doc"]


def test_limit_and_length_go_together() -> None:
    for arguments in ({"max_length": 3}, {"length_field": "n"}):
        with pytest.raises(ValueError, match="go together"):
            DocumentJoiner(**arguments)


def test_names_and_columns_for_the_plan() -> None:
    stages = (AddId("id"), DocumentSplitter("|"), DocumentJoiner())
    assert [stage.name for stage in stages] == ["add_id", "document_splitter", "document_joiner"]
    assert all(stage.outputs_are_complete for stage in stages)
    assert AddId("id").outputs() == (["data"], ["id"])
    assert DocumentSplitter("|").outputs() == (["data"], ["text", "segment_id"])
    limited = DocumentJoiner(max_length=3, length_field="n", drop_segment_id_field=False)
    assert limited.inputs() == (["data"], ["text", "segment_id", "id", "n"])
    assert limited.outputs() == (["data"], ["text", "segment_id", "n"])
    assert DocumentJoiner().outputs() == (["data"], ["text"])


@settings(deadline=None)
@given(
    st.lists(st.text(st.sampled_from("ab|.\n"), max_size=12), max_size=5),
    st.sampled_from(["|", ".", "||", ".\n", "ab"]),
)
def test_join_undoes_split(texts: list[str], separator: str) -> None:
    batch = frame(text=pd.Series(texts, dtype=object), id=range(len(texts)))
    split = DocumentSplitter(separator).process(batch)
    assert DocumentJoiner(separator).process(split).to_pandas()["text"].tolist() == texts
