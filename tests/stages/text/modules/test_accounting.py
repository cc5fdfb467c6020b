from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from nemo_curator.errors import InputError, MissingExtra, OptionError
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.filters.heuristic import NonAlphaNumericFilter, WordCountFilter
from nemo_curator.stages.text.modules import DocumentAccounting, TekkenCounter
from nemo_curator.tasks import DocumentBatch
from nemo_curator.tasks.utils import TaskPerfUtils

TEXTS = ["Hello world, 你好世界", "", " \n", None, "👍🏽", "שלום"]


def _table(*texts: str | None) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=pa.table({"text": pa.array(texts, pa.string())}))


def _words(text: str) -> int:
    return len(text.split())


@pytest.fixture(scope="module")
def tekken() -> TekkenCounter:
    pytest.importorskip("mistral_common")
    counter = TekkenCounter()
    counter.load()
    return counter


def test_documents_characters_and_bytes() -> None:
    stage = DocumentAccounting()
    batch = _table(*TEXTS)
    assert stage.process(batch) is batch
    assert stage._consume_custom_metrics() == {
        "documents": 6,
        "blank_documents": 3,
        "characters": 17 + 2 + 2 + 4,
        "bytes": 25 + 2 + 8 + 8,
    }


def test_lone_surrogates_count_too() -> None:
    stage = DocumentAccounting()
    frame = pd.DataFrame({"text": pd.Series(["a\ud800"], dtype=object)})
    stage.process(DocumentBatch(dataset_name="d", data=frame))
    assert stage._consume_custom_metrics() == {"documents": 1, "blank_documents": 0, "characters": 2, "bytes": 4}


def test_columns_of_counts() -> None:
    stage = DocumentAccounting(_words, characters_field="characters", tokens_field="words")
    out = stage.process(_table("one two", None)).to_pyarrow()
    assert out["words"].to_pylist() == [2, 0]
    assert out["characters"].to_pylist() == [7, 0]
    assert stage.process(_table()).to_pyarrow().schema == out.schema
    assert stage.outputs() == (["data"], ["characters", "words"])


def test_tokens_of_a_real_tokenizer(tekken: TekkenCounter) -> None:
    # As mistral-common's own tokenizer has them: 22177 4304 1044 1032 124108 29659.
    assert tekken.count(["Hello world, 你好世界", "", "\ud800"]) == [6, 0, 1]
    # What looks like a control token in a document is text.
    assert tekken.count(["[INST] </s>"])[0] > 2


def test_it_is_the_same_inline_in_threads_and_in_processes(everywhere: Any) -> None:
    stage = DocumentAccounting(_words, tokens_field="words")
    tables, _ = everywhere(stage, tasks=[_table(*TEXTS), _table("one two three")])
    assert [table["words"].to_pylist() for table in tables] == [[3, 0, 0, 0, 1, 1], [3]]


def test_metrics_are_summed_over_a_run() -> None:
    from nemo_curator.backends.local import LocalExecutor
    from nemo_curator.pipeline import Pipeline

    stages = [
        DocumentAccounting(name="before"),
        ScoreFilter(WordCountFilter(min_words=2)),
        DocumentAccounting(name="after"),
    ]
    outputs = Pipeline("count", stages=stages).run(
        LocalExecutor(mode="inline"), initial_tasks=[_table("one two", "one"), _table("three four five")]
    )
    totals = TaskPerfUtils.aggregate_task_metrics(outputs)
    assert [
        totals[f"{stage}_custom.{metric}_sum"]
        for stage in ("before", "after")
        for metric in ("documents", "characters")
    ] == [
        3,
        25,
        2,
        22,
    ]
    assert totals["word_count_custom.dropped_characters_word_count_low_sum"] == 3


def test_characters_dropped_by_reason() -> None:
    stage = ScoreFilter([NonAlphaNumericFilter(), WordCountFilter(min_words=2, max_words=3)])
    stage.process(_table("fine text", "?#$%^&*", "short", "much too long a text", None))
    assert stage._consume_custom_metrics() == {
        "dropped_characters_alpha_numeric": 7,
        "dropped_characters_word_count_low": 5,
        "dropped_characters_word_count_high": 20,
    }


def test_options_that_make_no_sense() -> None:
    with pytest.raises(OptionError, match="there is no tokenizer 'gpt2'"):
        DocumentAccounting("gpt2")  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match="needs a tokenizer"):
        DocumentAccounting(tokens_field="tokens")


def test_what_the_tokenizer_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("mistral_common"):
        with pytest.raises(InputError, match=r"no Tekken file at none\.json"):
            DocumentAccounting(TekkenCounter("none.json")).setup_on_node()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"counting tokens needs .*curator-backends\[tokens\]"):
        DocumentAccounting("tekken").setup_on_node()
