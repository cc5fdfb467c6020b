from __future__ import annotations

import pickle
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.base import Topology
from nemo_curator.stages.deduplication.exact import ExactDuplicatesRemovalStage
from nemo_curator.tasks import DocumentBatch


def frame(*texts: Any) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=pd.DataFrame({"text": pd.Series(list(texts), dtype=object)}))


def table(*texts: Any) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=pa.table({"text": pa.array(list(texts), pa.string())}))


def left(batches: list[DocumentBatch]) -> list[list[Any]]:
    return [batch.to_pandas()["text"].tolist() for batch in batches]


@pytest.mark.parametrize("make", [frame, table])
def test_the_first_of_equal_texts_stays(make: Any) -> None:
    stage = ExactDuplicatesRemovalStage()
    tasks = [make("x", "y", "x"), make("x"), make(), make("z", "y", "Z")]
    assert left(stage.process_batch(tasks)) == [["x", "y"], [], [], ["z", "Z"]]
    assert stage._consume_drops() == {"exact_duplicate": 3}
    assert left(tasks) == [["x", "y", "x"], ["x"], [], ["z", "y", "Z"]]


def test_a_task_without_duplicates_is_passed_on_as_it_is() -> None:
    task = frame("a", "b")
    assert ExactDuplicatesRemovalStage().process_batch([task])[0] is task


def test_every_call_starts_anew() -> None:
    stage = ExactDuplicatesRemovalStage()
    assert [left([stage.process(frame("a", "a"))]) for _ in range(2)] == [[["a"]], [["a"]]]
    assert stage._consume_drops() == {"exact_duplicate": 2}


def test_normalized_texts_are_equal_but_kept_as_they_are() -> None:
    stage = ExactDuplicatesRemovalStage(normalize_text=True)
    assert left([stage.process(frame(" Straße  nach\nROM ", "straße nach rom", "straßenach rom"))]) == [
        [" Straße  nach\nROM ", "straßenach rom"]
    ]


@pytest.mark.parametrize("make", [frame, table])
def test_missing_texts_are_no_duplicates_and_empty_ones_are(make: Any) -> None:
    out = ExactDuplicatesRemovalStage().process(make(None, "", None, "")).to_pandas()["text"]
    assert [None if pd.isna(text) else text for text in out] == [None, "", None]


def test_index_and_other_columns_stay() -> None:
    data = pd.DataFrame({"body": ["a", "a", "b"], "n": [1, 2, 3]}, index=[5, 6, 7])
    stage = ExactDuplicatesRemovalStage("body")
    out = stage.process(DocumentBatch(dataset_name="d", data=data)).to_pandas()
    assert (out.index.tolist(), out["n"].tolist()) == ([5, 7], [1, 3])


def test_what_the_engine_reads() -> None:
    stage = pickle.loads(pickle.dumps(ExactDuplicatesRemovalStage("body")))
    assert stage.topology is Topology.BARRIER
    assert not stage.is_resumable
    assert stage.outputs_are_complete
    assert (stage.inputs(), stage.outputs()) == ((["data"], ["body"]), (["data"], []))
    assert stage.name == "exact_duplicates_removal"


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "b", "A", "", "\ud800"]), max_size=5), max_size=5))
def test_it_keeps_each_text_once_in_order(texts: list[list[str]]) -> None:
    stage = ExactDuplicatesRemovalStage()
    out = left(stage.process_batch([frame(*task) for task in texts]))
    flat = [text for task in texts for text in task]
    kept = [text for task in out for text in task]
    assert len(out) == len(texts)
    assert kept == list(dict.fromkeys(flat))
    assert sum(stage._consume_drops().values()) == len(flat) - len(kept)
