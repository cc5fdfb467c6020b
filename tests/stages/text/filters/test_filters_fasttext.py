from __future__ import annotations

import ast
import pickle
import shutil
from pathlib import Path

import pandas as pd
import pytest

from nemo_curator.engine.fingerprint import digest_of
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.filters.fasttext import FastTextLangId, FastTextQualityFilter, default_langid_model
from nemo_curator.tasks import DocumentBatch

ENGLISH = "The quick brown fox jumps over the lazy dog,\nand nobody in the village minded it at all."
GERMAN = "Der schnelle braune Fuchs springt über den faulen Hund,\nund niemand im Dorf störte sich daran."
CHINESE = "敏捷的棕色狐狸跳过了懒狗。村里没有人介意。"


@pytest.fixture(scope="module")
def langid() -> FastTextLangId:
    rule = FastTextLangId(default_langid_model())
    rule.model_check_or_download()
    rule.load_model()
    return rule


def test_the_shipped_model_is_found() -> None:
    assert Path(default_langid_model()).is_file()


@pytest.mark.parametrize(("text", "code"), [(ENGLISH, "EN"), (GERMAN, "DE"), (CHINESE, "ZH")])
def test_the_score_is_a_string_of_probability_and_code(langid: FastTextLangId, text: str, code: str) -> None:
    score = langid.score_document(text)
    probability, found = ast.literal_eval(score)
    assert isinstance(score, str)
    assert found == code
    assert 0.5 < probability <= 1.0


@pytest.mark.parametrize("text", ["", "  \n", "?!…"])
def test_text_without_letters_has_no_language(langid: FastTextLangId, text: str) -> None:
    assert langid.score_document(text) == "[0.0, 'UNKNOWN']"
    assert not langid.keep_document(langid.score_document(text))


@pytest.mark.parametrize("text", ["\u16a0\u16a2\u16a6", "\U00013000 \U00013001", "12345"])
def test_what_the_model_knows_nothing_of_has_no_language(langid: FastTextLangId, text: str) -> None:
    assert langid._file.likeliest(text) == langid._file.likeliest("")
    assert langid.score_document(text) == "[0.0, 'UNKNOWN']"


def test_broken_unicode_is_no_problem(langid: FastTextLangId) -> None:
    assert ast.literal_eval(langid.score_document(ENGLISH + "\ud800"))[1] == "EN"


@pytest.mark.parametrize(
    ("lang", "score", "kept"),
    [
        (None, "[0.31, 'EN']", True),
        (None, "[0.29, 'EN']", False),
        ("en", "[0.9, 'EN']", True),
        ("EN", "[0.9, 'en_Latn']", True),
        ("en", "[0.9, 'eng_Latn']", False),
        ("zho", "[0.9, 'zho_Hans']", True),
        ("zho_hans", "[0.9, 'zho_Hans']", True),
        ("zho_Hant", "[0.9, 'zho_Hans']", False),
        ("de", "[0.9, 'EN']", False),
        (None, '[0.9, "EN"]', True),
    ],
)
def test_keep_rule(lang: str | None, score: str, kept: bool) -> None:
    assert FastTextLangId("model.bin", lang=lang).keep_document(score) is kept


def test_wrong_scores() -> None:
    rule = FastTextLangId("model.bin")
    with pytest.raises(TypeError):
        rule.keep_document([0.9, "EN"])  # pyright: ignore[reportArgumentType]
    for score in ("nonsense", "[0.9]", "[", "__import__('os')"):
        with pytest.raises(ValueError, match="language score"):
            rule.keep_document(score)


def test_a_missing_model_is_found_before_the_run(tmp_path: Path) -> None:
    stage = ScoreFilter(FastTextLangId(str(tmp_path / "none.bin")))
    with pytest.raises(FileNotFoundError, match=r"none\.bin"):
        stage.setup_on_node()
    with pytest.raises(ValueError, match="model"):
        FastTextLangId("")


def test_as_a_stage_it_says_why_it_drops(langid: FastTextLangId) -> None:
    stage = ScoreFilter(FastTextLangId(default_langid_model(), lang="en"), score_field="language")
    stage.setup_on_node()
    stage.setup()
    out = stage.process(DocumentBatch(dataset_name="d", data=pd.DataFrame({"text": [ENGLISH, GERMAN, "??"]})))
    assert out.to_pandas()["text"].tolist() == [ENGLISH]
    assert stage._consume_drops() == {"lang_id_other": 1, "lang_id_unsure": 1}
    assert stage.ray_stage_spec()["is_actor_stage"]
    assert stage.name == "lang_id"


def test_a_loaded_filter_travels_without_its_model(langid: FastTextLangId) -> None:
    again = pickle.loads(pickle.dumps(langid))
    assert len(pickle.dumps(langid)) < 1000
    assert again.score_document(ENGLISH) == langid.score_document(ENGLISH)


def test_another_model_under_the_same_name_is_another_filter(tmp_path: Path) -> None:
    model = tmp_path / "model.ftz"
    missing = digest_of(FastTextLangId(str(model)))
    shutil.copy(default_langid_model(), model)
    first = digest_of(FastTextLangId(str(model)))
    assert first == digest_of(FastTextLangId(str(model))) != missing
    assert first != digest_of(FastTextLangId(str(model), lang="en"))
    model.write_bytes(model.read_bytes() + b"more")
    assert digest_of(FastTextLangId(str(model))) != first


def test_quality_is_the_probability_of_the_label() -> None:
    rule = FastTextQualityFilter(default_langid_model(), label="__label__en")
    assert rule.name == "fasttext_quality_filter"
    assert rule.score_document(ENGLISH) > 0.5 > rule.score_document(GERMAN)
    assert FastTextQualityFilter(default_langid_model(), label="__label__none").score_document(ENGLISH) == 0.0


def test_quality_draws_from_a_pareto_distribution() -> None:
    # P(draw > 1 - score) is (2 - score) ** -alpha: one eighth at score 0 and always at score 1.
    rule = FastTextQualityFilter("model.bin")
    low = sum(rule.keep_document(at * 1e-9) for at in range(8000)) / 8000
    half = sum(rule.keep_document(0.5 + at * 1e-9) for at in range(8000)) / 8000
    assert low == pytest.approx(1 / 8, abs=0.02)
    assert half == pytest.approx(1.5**-3, abs=0.02)
    assert rule.keep_document(1.0)


def test_quality_draws_do_not_depend_on_the_order() -> None:
    scores = [at / 100 for at in range(100)]
    forward, backward = FastTextQualityFilter("m"), FastTextQualityFilter("m")
    kept = [forward.keep_document(score) for score in scores]
    assert kept == [backward.keep_document(score) for score in reversed(scores)][::-1]
    other = FastTextQualityFilter("m", seed=7)
    assert kept != [other.keep_document(score) for score in scores]
