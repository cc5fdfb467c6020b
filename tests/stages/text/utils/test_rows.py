from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from nemo_curator.errors import DataError
from nemo_curator.stages.text.filters import DocumentFilter, ScoreFilter
from nemo_curator.stages.text.filters.heuristic import WordCountFilter
from nemo_curator.stages.text.language import LanguageIdentificationStage
from nemo_curator.stages.text.modifiers import Modify, NewlineNormalizer
from nemo_curator.stages.text.modules import DocumentAccounting, DocumentJoiner, DocumentSplitter
from nemo_curator.stages.text.pii import PiiStage
from nemo_curator.stages.text.recipes import ApplyRules, FineWebQuality
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
    assert rows.texts("b", "s") == ["x", "", "z"]
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


NOT_TEXT: dict[str, tuple[Any, str]] = {
    "numbers": ([7, 8], r"2 of 2 values are of type int, the first, in row 0, is 7"),
    "numbers, one missing": ([7.5, None], r"2 of 2 values are of type float"),
    "bytes": ([b"x", b"y"], r"of type bytes, the first, in row 0, is b'x'"),
    "lists": ([["x"], None], r"1 of 2 values are of type list"),
}


@pytest.mark.parametrize("kind", NOT_TEXT)
@pytest.mark.parametrize("make", [pd.DataFrame, pa.table])
def test_what_is_not_text_is_named(kind: str, make: Any) -> None:
    values, said = NOT_TEXT[kind]
    with pytest.raises(
        DataError, match=rf"stage 'judge': column 'n' of task d is not text: .*{said}.*Modify\(str, 'n'\)"
    ):
        Rows(batch(make({"n": values}))).texts("n", "judge")


def test_a_mixed_column_is_not_text_and_the_row_is_that_of_the_batch() -> None:
    rows = Rows(batch(pd.DataFrame({"t": ["a", None, "c", 4, {"k": 5}]})))
    rows.keep([False, True, True, True, True])
    with pytest.raises(DataError, match=r"2 of 4 values are of type dict, int, the first, in row 3, is 4"):
        rows.texts("t", "judge")


@pytest.mark.parametrize("data", [pd.DataFrame({"t": [None, None]}, dtype=float), pa.table({"t": pa.nulls(2)})])
def test_a_column_without_any_value_is_missing_texts(data: Any) -> None:
    rows = Rows(batch(data))
    assert (rows.texts("t", "s"), rows.texts("t", "s", missing=None)) == (["", ""], [None, None])


STAGES: dict[str, Any] = {
    "accounting": lambda: DocumentAccounting(text_field="n"),
    "rules": lambda: ApplyRules([FineWebQuality()], "n"),
    "language": lambda: LanguageIdentificationStage("n"),
    "personal data": lambda: PiiStage(text_field="n"),
    "segments": lambda: DocumentSplitter(",", "n"),
    "joined": lambda: DocumentJoiner(",", "n", segment_id_field="s", document_id_field="s"),
    "filter": lambda: ScoreFilter(WordCountFilter(), "n"),
    "modifier": lambda: Modify(NewlineNormalizer(), "n"),
    "one of two modifiers": lambda: Modify([str, NewlineNormalizer()], [["s"], ["n"]]),
}


@pytest.mark.parametrize("kind", STAGES)
@pytest.mark.parametrize("make", [pd.DataFrame, pa.table])
def test_every_stage_of_text_says_which_column_is_none(kind: str, make: Any) -> None:
    stage = STAGES[kind]()
    stage.setup()
    with pytest.raises(DataError, match=rf"stage '{stage.name}': column 'n' of task d is not text.*of type int"):
        stage.process(batch(make({"n": [1, 2], "s": [1, 1]})))


def test_functions_of_the_users_are_left_alone() -> None:
    numbers = batch(pd.DataFrame({"n": [1, 2], "l": [["a"], ["b", "c"]]}))

    class OfLists(DocumentFilter):
        def score_document(self, text: Any) -> int:
            return len(text)

        def keep_document(self, score: int) -> bool:
            return score > 1

    assert ScoreFilter(OfLists(), "l").process(numbers).num_items == 1
    assert Modify(lambda n: n + 1, "n").process(numbers).to_pandas()["n"].tolist() == [2, 3]
    with pytest.raises(TypeError, match="unsupported operand"):
        Modify(lambda n: n + "x", "n").process(numbers)
