from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from examples.language_accuracy import accuracy, paragraphs
from nemo_curator.errors import InputError, OptionError
from nemo_curator.stages.text.language import (
    Cld3Identifier,
    FastTextIdentifier,
    LanguageIdentificationStage,
    LanguageIdentifier,
    Py3LangIdIdentifier,
    canonical_language,
    same_language,
)
from nemo_curator.tasks import DocumentBatch

ENGLISH = "The quick brown fox jumps over the lazy dog, and nobody in the village minded it at all."
GERMAN = "Der schnelle braune Fuchs springt über den faulen Hund, und niemand im Dorf störte sich daran."
RUSSIAN = "Быстрая коричневая лиса перепрыгивает через ленивую собаку."
JAPANESE = "素早い茶色の狐がのろまな犬を飛び越えました。誰も気にしませんでした。"
HEBREW = "השועל החום המהיר קופץ מעל הכלב העצלן, ואיש לא שם לב."
NONE = ["", " \n", "😀😀", "1234", None]

IDENTIFIERS = [
    pytest.param(FastTextIdentifier, "fasttext", id="fasttext"),
    pytest.param(Cld3Identifier, "gcld3", id="cld3"),
    pytest.param(Py3LangIdIdentifier, "py3langid", id="py3langid"),
]


def _table(texts: list[str | None]) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=pa.table({"text": pa.array(texts, pa.string())}))


def _ready(stage: LanguageIdentificationStage) -> LanguageIdentificationStage:
    stage.setup_on_node()
    stage.setup()
    return stage


class _Fixed(LanguageIdentifier):
    """Answers what it is told."""

    def __init__(self, *answers: tuple[str, float]) -> None:
        self.answers = answers

    def _load(self) -> Any:
        return True

    def identify(self, texts: Any) -> list[tuple[str, float]]:
        return list(self.answers[: len(texts)])


@pytest.mark.parametrize(("kind", "package"), IDENTIFIERS)
def test_every_model_knows_some_languages(kind: type[LanguageIdentifier], package: str) -> None:
    pytest.importorskip(package)
    found = kind().identify([ENGLISH, GERMAN, RUSSIAN, JAPANESE, HEBREW, GERMAN + "\ud800\0\n"])
    assert [code for code, _ in found] == ["en", "de", "ru", "ja", "he", "de"]
    assert all(0.5 < confidence <= 1.0 for _, confidence in found)
    assert kind().identify([]) == []


@pytest.mark.parametrize(("kind", "package"), IDENTIFIERS)
def test_every_model_is_right_about_the_declaration_of_human_rights(
    kind: type[LanguageIdentifier], package: str
) -> None:
    pytest.importorskip(package)
    # Every fourth paragraph is enough here; the example measures them all.
    shares = accuracy(kind(), list(paragraphs())[::4])
    assert len(shares) >= 30
    assert sum(shares.values()) / len(shares) >= 0.98
    assert min(shares.values()) >= 0.7


def test_columns_of_a_table_and_of_a_frame() -> None:
    stage = _ready(LanguageIdentificationStage())
    texts = [ENGLISH, RUSSIAN, JAPANESE, HEBREW, *NONE]
    table = stage.process(_table(texts)).to_pyarrow()
    assert table.column_names == ["text", "language", "language_confidence", "script"]
    assert table["language"].to_pylist() == ["en", "ru", "ja", "he"] + ["und"] * len(NONE)
    assert table["language_confidence"].to_pylist()[4:] == [0.0] * len(NONE)
    assert table["script"].to_pylist() == ["Latn", "Cyrl", "Jpan", "Hebr"] + ["Zyyy"] * len(NONE)
    frame = pd.DataFrame({"text": texts}, index=range(10, 19))
    out = stage.process(DocumentBatch(dataset_name="d", data=frame)).to_pandas()
    assert out.index.tolist() == list(range(10, 19))
    assert out["language"].tolist() == table["language"].to_pylist()
    assert list(frame.columns) == ["text"], "the input is left as it was"


def test_an_empty_batch_has_the_same_columns() -> None:
    stage = _ready(LanguageIdentificationStage())
    assert stage.process(_table([])).to_pyarrow().schema == stage.process(_table([ENGLISH])).to_pyarrow().schema
    assert stage.outputs()[1] == ["language", "language_confidence", "script"]


def test_a_text_in_which_the_model_knows_nothing_has_no_language() -> None:
    assert FastTextIdentifier().identify(["qzxqz", "x"]) == [("und", 0.0)] * 2


def test_two_models() -> None:
    sure, other = _Fixed(("nb", 0.9), ("en", 0.9)), _Fixed(("no", 0.4), ("de", 0.4))
    stage = LanguageIdentificationStage(model=sure, second_model=other, agreement_field="same")
    out = stage.process(_table(["a", "b"])).to_pyarrow()
    assert out["same"].to_pylist() == [True, False]
    assert out["language"].to_pylist() == ["nb", "en"]
    strict = LanguageIdentificationStage(model=sure, second_model=other, require_agreement=True)
    assert strict.process(_table(["a", "b"])).to_pyarrow()["language"].to_pylist() == ["nb", "und"]


def test_what_is_dropped_is_counted_by_reason() -> None:
    first = _Fixed(("en", 0.9), ("en", 0.2), ("de", 0.9), ("en", 0.9))
    second = _Fixed(("en", 0.9), ("en", 0.9), ("de", 0.9), ("fr", 0.9))
    stage = LanguageIdentificationStage(
        model=first, second_model=second, min_confidence=0.5, require_agreement=True, languages=["EN"], drop=True
    )
    out = stage.process(_table(["a", "b", "c", "d", "?"])).to_pyarrow()
    assert out["text"].to_pylist() == ["a"]
    assert stage._consume_drops() == {"language_unsure": 2, "language_other": 1, "language_disputed": 1}


def test_low_confidence_without_drop_is_undetermined() -> None:
    stage = LanguageIdentificationStage(model=_Fixed(("en", 0.2)), min_confidence=0.5)
    out = stage.process(_table(["a"])).to_pyarrow()
    assert (out["language"].to_pylist(), out["language_confidence"].to_pylist()) == (["und"], [0.2])


def test_it_is_the_same_inline_in_threads_and_in_processes(everywhere: Any) -> None:
    stage = LanguageIdentificationStage(min_confidence=0.3, drop=True, languages=["en", "ru"])
    tables, report = everywhere(stage, tasks=[_table([ENGLISH, "", GERMAN]), _table([RUSSIAN]), _table([HEBREW])])
    assert [table["language"].to_pylist() for table in tables] == [["en"], ["ru"], []]
    assert report.stage(stage.name).items_dropped == {"language_unsure": 1, "language_other": 2}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"require_agreement": True}, "second model"),
        ({"languages": "en", "drop": True}, "list of codes"),
        ({"languages": ["en"]}, "drop=True"),
        ({"model": "fastext"}, "Did you mean 'fasttext'"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        LanguageIdentificationStage(**options)


def test_a_missing_model_is_found_on_the_node(tmp_path: Any) -> None:
    stage = LanguageIdentificationStage(model=FastTextIdentifier(str(tmp_path / "none.bin")))
    with pytest.raises(InputError, match=r"none\.bin"):
        stage.setup_on_node()


def test_a_loaded_stage_travels_without_its_models() -> None:
    stage = _ready(LanguageIdentificationStage())
    assert len(pickle.dumps(stage)) < 3000


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("nb", "no", True), ("hr", "sh", True), ("iw", "he", True), ("zh-Latn", "zh", True), ("de", "nl", False)],
)
def test_same_language(one: str, other: str, same: bool) -> None:
    assert same_language(one, other) is same_language(other, one) is same


def test_codes_of_today() -> None:
    assert [canonical_language(code) for code in ("iw", "FIL", "zh_Hant", "als", "xx")] == [
        "he",
        "tl",
        "zh",
        "gsw",
        "xx",
    ]


def test_loading_warns_about_nothing() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        FastTextIdentifier().load()
    assert [str(warning.message) for warning in seen] == []


def test_what_is_dropped_may_be_kept_elsewhere(tmp_path: Path) -> None:
    stage = LanguageIdentificationStage(drop=True, languages=["en"], exclusions=str(tmp_path / "dropped"))
    stage.setup()
    assert stage.process(_table([ENGLISH, GERMAN, None])).to_pyarrow()["text"].to_pylist() == [ENGLISH]
    assert stage._consume_drops() == {"language_other": 1, "language_unsure": 1}
    (file,) = (tmp_path / "dropped").glob("*.jsonl")
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"text": GERMAN, "drop_reason": "language_other"},
        {"text": None, "drop_reason": "language_unsure"},
    ]
    with pytest.raises(OptionError, match="needs drop=True"):
        LanguageIdentificationStage(exclusions="x")
