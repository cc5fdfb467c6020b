from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from typing import Any

import cloudpickle
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.text import filters
from nemo_curator.stages.text.filters import DocumentFilter, Filter, Score, ScoreFilter
from nemo_curator.stages.text.filters.heuristic import WordCountFilter
from nemo_curator.tasks import DocumentBatch


class Length(DocumentFilter):
    """Keeps texts of at least `low` characters; remembers what it scored."""

    def __init__(self, low: int = 3, name: str | None = None) -> None:
        self.low = low
        self.scored: list[str] = []
        self._name = name

    def score_document(self, text: str) -> int:
        self.scored.append(text)
        return len(text)

    def keep_document(self, scores: int) -> bool:
        return scores >= self.low


class Reasoned(Length):
    def drop_reason(self, score: int) -> str:
        return f"length_{score}"


class PlainObject:
    """Not a DocumentFilter, but has its methods."""

    name = "plain"

    def __init__(self) -> None:
        self.calls: list[str] = []

    def model_check_or_download(self) -> None:
        self.calls.append("download")

    def load_model(self) -> None:
        self.calls.append("model")

    def load_tokenizer(self) -> None:
        self.calls.append("tokenizer")

    def score_document(self, text: str) -> int:
        return len(text)

    def keep_document(self, scores: int) -> bool:
        return scores > 1


def frame(*texts: Any, **columns: Any) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=pd.DataFrame({"text": list(texts), **columns}))


def table(*texts: Any) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=pa.table({"text": pa.array(list(texts), pa.string())}))


def short(text: str) -> bool:
    return len(text) < 3


@pytest.mark.parametrize("make", [frame, table])
def test_score_adds_a_column_and_keeps_all_rows(make: Any) -> None:
    batch = make("a", "bcd", "")
    out = Score([Length(), len], ["n", "m"]).process(batch)
    assert out.to_pandas().to_dict("list") == {"text": ["a", "bcd", ""], "n": [1, 3, 0], "m": [1, 3, 0]}
    assert type(out.data) is type(batch.data)
    assert batch.get_columns() == ["text"]


def test_filter_keeps_by_score_and_counts_drops_by_reason() -> None:
    stage = Filter([Length(2), short], ["n", "text"])
    out = stage.process(frame("a", "bcd", "ef", n=[1, 2, 3]))
    assert out.to_pandas()["text"].tolist() == ["ef"]
    assert stage._consume_drops() == {"Length": 1, "short": 1}


def test_score_filter_keeps_the_index_and_the_order() -> None:
    batch = DocumentBatch(dataset_name="d", data=pd.DataFrame({"text": ["abc", "b", "defg"]}, index=[7, 3, 7]))
    out = ScoreFilter(Length(), score_field="n").process(batch).to_pandas()
    assert out.index.tolist() == [7, 7]
    assert out.to_dict("list") == {"text": ["abc", "defg"], "n": [3, 4]}


def test_a_dropped_row_is_not_scored_by_the_next_filter() -> None:
    first, second = Length(2), Length(3)
    stage = ScoreFilter([first, second], score_field=["a", None])
    out = stage.process(frame("x", "yy", "zzz"))
    assert second.scored == ["yy", "zzz"]
    assert out.to_pandas().to_dict("list") == {"text": ["zzz"], "a": [3]}


def test_a_filter_may_refine_the_reason() -> None:
    stage = ScoreFilter([Reasoned(), Length(5, name="long")])
    stage.process(frame("a", "b", "cc", "dddd", "eeeee"))
    assert stage._consume_drops() == {"length_1": 2, "length_2": 1, "long": 1}


def test_invert_keeps_the_others() -> None:
    stage = ScoreFilter(Reasoned(), invert=True)
    assert stage.process(frame("a", "bcd")).to_pandas()["text"].tolist() == ["a"]
    assert stage._consume_drops() == {"not_Reasoned": 1}


def test_each_filter_has_its_own_invert_and_text() -> None:
    stage = ScoreFilter([Length(), Length()], text_field=["text", "title"], invert=[False, True])
    out = stage.process(frame("abc", "abc", "a", title=["x", "xyz", "x"]))
    assert out.to_pandas().to_dict("list") == {"text": ["abc"], "title": ["x"]}


@pytest.mark.parametrize("make", [frame, table])
def test_nothing_left_is_an_empty_batch(make: Any) -> None:
    out = ScoreFilter([Length(9), Length(9)], score_field=["a", "b"]).process(make("a"))
    assert (out.num_items, out.get_columns()) == (0, ["text", "a", "b"])


@pytest.mark.parametrize("make", [frame, table])
def test_an_empty_batch_passes_and_gets_its_columns(make: Any) -> None:
    empty = make()
    assert ScoreFilter(Length()).process(empty) is empty
    assert Filter(short, "text").process(empty) is empty
    assert Score(Length(), "n").process(empty).get_columns() == ["text", "n"]
    assert ScoreFilter(Length(), score_field="n").process(empty).get_columns() == ["text", "n"]


@pytest.mark.parametrize("batch", [frame("abc", None, float("nan")), frame("abc", None), table("abc", None)])
def test_a_missing_text_is_scored_as_the_empty_one(batch: DocumentBatch) -> None:
    scores = Score(Length(), "n").process(batch).to_pandas()["n"].tolist()
    assert scores == [3, 0, 0][: batch.num_items]


def test_missing_numbers_reach_a_function_as_nan() -> None:
    numbers = DocumentBatch(dataset_name="d", data=pa.table({"n": [1, None, 3]}))
    assert Filter(lambda n: n > 1, "n").process(numbers).to_pandas()["n"].tolist() == [3]


def test_score_many_may_return_an_array() -> None:
    class Many(Length):
        def score_many(self, texts: Any) -> Any:
            return pa.array([len(text) for text in texts]).to_numpy()

    out = ScoreFilter(Many(), score_field="n").process(table("a", "bcd"))
    assert out.data.to_pydict() == {"text": ["bcd"], "n": [3]}


def test_plain_objects_with_the_methods_are_filters_too() -> None:
    plain = PlainObject()
    stage = ScoreFilter(plain)  # pyright: ignore[reportArgumentType]
    stage.setup_on_node()
    stage.setup()
    assert plain.calls == ["download", "model", "tokenizer"]
    assert stage.process(frame("a", None, "bc")).num_items == 1
    assert stage._consume_drops() == {"plain": 2}
    assert (stage.name, stage.ray_stage_spec()["is_actor_stage"]) == ("plain", True)


def test_only_a_filter_with_a_model_asks_for_an_actor() -> None:
    class WithModel(Length):
        def load_model(self) -> None:
            self.scored.append("loaded")

    model = WithModel()
    assert ScoreFilter([Length(), model]).ray_stage_spec()["is_actor_stage"]
    assert not Score([Length(), len], ["a", "b"]).ray_stage_spec()["is_actor_stage"]
    stage = Filter(model, "n")
    stage.setup()
    assert not stage.ray_stage_spec()["is_actor_stage"]
    assert model.scored == []


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        (Score(Length(), "n"), "Length"),
        (Score(len, "n"), "score_fn"),
        (Score([len], "n"), "len"),
        (Score([len, Length()], ["a", "b"]), "score_chain_of_len_Length"),
        (Filter(short, "n"), "filter_fn"),
        (Filter(WordCountFilter(), "n"), "word_count"),
        (Filter([short, Length()], ["a", "b"]), "filter_chain_of_short_Length"),
        (ScoreFilter(WordCountFilter()), "word_count"),
        (ScoreFilter([WordCountFilter()]), "word_count"),
        (ScoreFilter([Length(), WordCountFilter()]), "score_filter_chain_of_Length_word_count"),
        (ScoreFilter(Length(), name="mine"), "mine"),
    ],
)
def test_stage_names(stage: Any, name: str) -> None:
    assert stage.name == name


def test_arguments_are_lists_on_the_instance() -> None:
    stage = ScoreFilter([Length(), Length()], text_field="body", invert=True)
    assert (stage.text_field, stage.score_field, stage.invert) == (["body"] * 2, [None] * 2, [True] * 2)
    assert ScoreFilter([Length(), Length()], text_field=["body"], invert=[True]).text_field == ["body"] * 2
    assert Score(len, ["n"]).score_field == ["n"]


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: Score(len, ["a", "b"]), ValueError),
        (lambda: Score(len, None), ValueError),
        (lambda: Score(len, 3), TypeError),
        (lambda: Score(len, "n", text_field=None), ValueError),
        (lambda: Score([len, len], "n"), ValueError),
        (lambda: Score([len, len], ["n"]), ValueError),
        (lambda: Score([], []), ValueError),
        (lambda: Score(3, "n"), TypeError),
        (lambda: Score(Length, "n"), TypeError),
        (lambda: Filter(len, None), ValueError),
        (lambda: Filter([len, len], "n"), ValueError),
        (lambda: Filter(len, "n", invert=[True, False]), ValueError),
        (lambda: Filter(len, "n", invert="no"), TypeError),
        (lambda: ScoreFilter(len), TypeError),
        (lambda: ScoreFilter(Length), TypeError),
        (lambda: ScoreFilter([Length(), Length()], score_field="n"), ValueError),
        (lambda: ScoreFilter([Length(), Length()], score_field=["a", "b", "c"]), ValueError),
        (lambda: ScoreFilter([Length(), Length()], text_field=["a", "b", "c"]), ValueError),
        (lambda: ScoreFilter(Length(), text_field=["a", "b"]), ValueError),
        (lambda: ScoreFilter(Length(), text_field=7), TypeError),
    ],
)
def test_wrong_arguments(build: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        build()


def test_columns_for_the_plan() -> None:
    stage = ScoreFilter([Length(), Length()], text_field=["text", "a"], score_field=["a", None])
    assert stage.inputs() == (["data"], ["text"])
    assert stage.outputs() == (["data"], ["a"])
    assert stage.outputs_are_complete
    assert Filter([short, short], ["b", "a"]).inputs() == (["data"], ["a", "b"])
    assert Filter(short, "b").outputs() == (["data"], [])


def test_verbose_logs_the_counts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        ScoreFilter(Length(), verbose=True).process(frame("a", "bcd"))
        Filter(Length(), "text").process(frame())
    assert [record.getMessage() for record in caplog.records] == ["stage Length kept 1 of 2 documents"]


def test_a_filter_class_that_forgets_super_init_has_a_name() -> None:
    assert (Length().name, Length(name="x").name) == ("Length", "x")
    filter_ = Length()
    filter_.sentences, filter_.paragraphs, filter_.ngrams = ["a"], ["b"], {"c": 1}
    assert (filter_.sentences, filter_.paragraphs, filter_.ngrams) == (["a"], ["b"], {"c": 1})


def test_stages_travel() -> None:
    stage = pickle.loads(cloudpickle.dumps(ScoreFilter(WordCountFilter(2))))
    assert stage.process(frame("a", "b c")).num_items == 1
    assert ScoreFilter(WordCountFilter(2)).with_(batch_size=4).batch_size == 4


@settings(deadline=None)
@given(st.lists(st.text() | st.none(), max_size=8), st.integers(0, 6))
def test_it_keeps_exactly_what_the_filter_keeps(texts: list[str | None], low: int) -> None:
    expected = [text for text in texts if len(text or "") >= low]
    for make in (frame, table):
        try:
            batch = make(*texts)
        except UnicodeEncodeError:  # Arrow takes no lone surrogates
            continue
        stage = ScoreFilter(Length(low))
        kept = [None if pd.isna(text) else text for text in stage.process(batch).to_pandas()["text"].tolist()]
        assert kept == expected
        assert sum(stage._consume_drops().values()) == len(texts) - len(expected)


def test_rules_are_exported_lazily() -> None:
    assert filters.WordCountFilter is WordCountFilter  # pyright: ignore[reportAttributeAccessIssue]
    assert filters.FastTextLangId.__name__ == "FastTextLangId"
    with pytest.raises(AttributeError, match="NoSuchFilter"):
        _ = filters.NoSuchFilter  # pyright: ignore[reportAttributeAccessIssue]
    heavy = "{'pandas', 'pyarrow', 'numpy', 'fasttext', 'ftfy'}"
    modules = "filters, nemo_curator.stages.text.modifiers, nemo_curator.stages.text.modules"
    code = f"import sys, nemo_curator.stages.text.{modules}, nemo_curator.stages.deduplication.exact; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
