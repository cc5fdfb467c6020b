"""What holds for every filter, whatever it measures."""

from __future__ import annotations

import inspect
import math
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from awkward_texts import PATTERNS, TEN_MEGABYTES, TEXTS
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nemo_curator.engine.fingerprint import digest_of
from nemo_curator.errors import DataError
from nemo_curator.stages.text import recipes
from nemo_curator.stages.text.filters import DocumentFilter, HistogramFilter, ScoreFilter, TokenCountFilter, heuristic
from nemo_curator.stages.text.filters.fasttext import FastTextLangId, FastTextQualityFilter, default_langid_model
from nemo_curator.stages.text.filters.heuristic import code
from nemo_curator.stages.text.recipes import C4Lines, RuleSet, TextView, fineweb_rules
from nemo_curator.tasks import DocumentBatch

DATA = Path(__file__).parent / "data"


class Characters:
    """A tokenizer for which every character is a token."""

    def encode(self, text: str, add_special_tokens: bool) -> list[str]:
        assert not add_special_tokens
        return list(text)


def _with_defaults(module: Any) -> dict[str, DocumentFilter]:
    """Return an instance of every filter of a module that needs no arguments."""
    found = {}
    for name in module.__all__:
        each = getattr(module, name)
        if not (isinstance(each, type) and issubclass(each, DocumentFilter)) or inspect.isabstract(each):
            continue
        parameters = inspect.signature(each).parameters.values()
        if all(parameter.default is not parameter.empty for parameter in parameters) and name not in SPECIAL:
            found[name] = each()
    return found


SPECIAL: dict[str, Any] = {
    "SubstringFilter": lambda: heuristic.SubstringFilter("a", "any"),
    "GeneralCommentToCodeFilter": lambda: code.GeneralCommentToCodeFilter("text/x-c"),
    "PerExtensionFilter": lambda: code.PerExtensionFilter("Python", "py", str(DATA / "code_meta.csv")),
    "TokenizerFertilityFilter": lambda: code.TokenizerFertilityFilter(str(DATA / "tiny.model")),
    "TokenCountFilter": lambda: TokenCountFilter(Characters()),
    "HistogramFilter": lambda: HistogramFilter("xx", cache_dir=str(DATA)),
    "FastTextLangId": lambda: FastTextLangId(default_langid_model()),
    "FastTextQualityFilter": lambda: FastTextQualityFilter(default_langid_model(), "__label__en"),
}


def made_anew(name: str) -> DocumentFilter:
    """Return a filter that nobody has used: neither a model nor anything else is loaded."""
    if name in SPECIAL:
        return SPECIAL[name]()
    return pickle.loads(pickle.dumps(filters()[name]))


@cache
def filters() -> dict[str, DocumentFilter]:
    found = {**_with_defaults(heuristic), **_with_defaults(code), **_with_defaults(recipes)}
    found["RepeatingTopNGramsFilter of 3"] = heuristic.RepeatingTopNGramsFilter(3)
    found["GeneralCommentToCodeFilter of Python"] = code.GeneralCommentToCodeFilter("text/x-python")
    return {**found, **{name: make() for name, make in SPECIAL.items()}}


NAMES = sorted(
    {
        name
        for module in (heuristic, code, recipes)
        for name in module.__all__
        if isinstance(getattr(module, name), type) and issubclass(getattr(module, name), DocumentFilter)
    }
    - {"RuleSet"}
    | SPECIAL.keys()
    | {"RepeatingTopNGramsFilter of 3", "GeneralCommentToCodeFilter of Python"}
)
LANGUAGE_MODELS = {"FastTextLangId", "FastTextQualityFilter"}


def is_plain(score: Any) -> bool:
    """Whether a score fits a column, and says something."""
    return isinstance(score, (str, int)) or (isinstance(score, float) and math.isfinite(score))


def check(each: DocumentFilter, text: str) -> None:
    score = each.score_document(text)
    assert is_plain(score), score
    kept = each.keep_document(score)
    assert isinstance(kept, bool)
    if not kept:
        assert each.drop_reason(score)
    assert each.score_document(text) == score
    assert list(each.score_many([text])) == [score]


def test_every_filter_is_here() -> None:
    assert set(filters()) == set(NAMES)
    assert len(NAMES) >= 35


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("name", NAMES)
def test_any_text_gets_a_score_and_a_decision(name: str, kind: str) -> None:
    check(filters()[name], TEXTS[kind])


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text(alphabet=st.characters(codec=None), max_size=80) | st.text("ab .\n#\"'[{/*-…。", max_size=80))
@example(text="a b a b a b")
@settings(max_examples=40, deadline=None)
def test_no_text_breaks_a_filter(name: str, text: str) -> None:
    check(filters()[name], text)


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_numbers_is_an_error_that_names_it(name: str) -> None:
    stage = ScoreFilter(made_anew(name), "n", name="judge")
    stage.setup()
    with pytest.raises(DataError, match=r"stage 'judge': column 'n' of task d is not text"):
        stage.process(DocumentBatch(dataset_name="d", data=pd.DataFrame({"n": [1, 2]})))


# The suite's time limit is what fails a search in quadratic time: that would take minutes here, and hours in the soak.
@pytest.mark.parametrize("length", [10**5, pytest.param(10**6, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
@pytest.mark.parametrize("name", NAMES)
def test_a_long_run_of_anything_takes_time_in_proportion(name: str, length: int) -> None:
    each = filters()[name]
    for pattern in PATTERNS.values():
        score = each.score_document(pattern * (length // len(pattern)))
        assert is_plain(score)
        each.keep_document(score)


@pytest.mark.soak
@pytest.mark.timeout(600)  # half a minute where nothing else runs; a search in quadratic time would still take hours
@pytest.mark.parametrize("name", NAMES)
def test_a_document_of_ten_megabytes(name: str) -> None:
    score = filters()[name].score_document(TEN_MEGABYTES)
    assert is_plain(score)


@pytest.mark.parametrize("name", NAMES)
def test_a_filter_travels_and_is_a_stage(name: str) -> None:
    each = pickle.loads(pickle.dumps(filters()[name]))
    stage = ScoreFilter(each, score_field="score")
    batch = DocumentBatch(dataset_name="d", data=pd.DataFrame({"text": [*TEXTS.values(), None]}, dtype=object))
    kept = stage.process(batch).to_pandas()
    drops = stage._consume_drops()
    assert len(kept) + sum(drops.values()) == len(TEXTS) + 1
    assert all(drops)
    assert kept["score"].notna().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_does_not_see_that_a_filter_was_used(name: str) -> None:
    used, fresh = made_anew(name), made_anew(name)
    before = pickle.dumps(fresh)
    check(used, TEXTS["prose"])
    assert digest_of(used) == digest_of(fresh)
    assert len(pickle.dumps(used)) == len(before) < 100_000


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LANGUAGE_MODELS])
def test_the_report_names_the_filter_or_its_rule(name: str) -> None:
    each = filters()[name]
    reasons = {
        each.drop_reason(score) for score in map(each.score_document, TEXTS.values()) if not each.keep_document(score)
    }
    family = each.name.split("_")[0] if isinstance(each, RuleSet) else each.name
    assert all(reason.startswith(family) for reason in reasons)


@pytest.mark.parametrize("kind", TEXTS)
def test_rules_on_one_view_decide_as_each_alone(kind: str) -> None:
    view = TextView(TEXTS[kind])
    for step in fineweb_rules():
        if isinstance(step, RuleSet):
            assert step.judge(view) == step.score_document(TEXTS[kind])
        else:
            assert isinstance(step, C4Lines)
            assert step.clean(step.clean(TEXTS[kind])) == step.clean(TEXTS[kind])
