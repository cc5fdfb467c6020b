"""What holds for every modifier and cleaner, whatever it changes."""

from __future__ import annotations

import inspect
import pickle

import pandas as pd
import pytest
from awkward_texts import PATTERNS, TEN_MEGABYTES, TEXTS
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.engine.fingerprint import digest_of
from nemo_curator.errors import DataError
from nemo_curator.stages.text import modifiers, recipes
from nemo_curator.stages.text.modifiers import DocumentModifier, Modify
from nemo_curator.tasks import DocumentBatch

MODIFIERS: dict[str, DocumentModifier] = {
    "BoilerPlateStringModifier": modifiers.BoilerPlateStringModifier(),
    "BoilerPlateStringModifier of whole texts": modifiers.BoilerPlateStringModifier(False),
    "C4Lines": recipes.C4Lines(),
    "FastTextLabelModifier": modifiers.FastTextLabelModifier("__label__a"),
    "LineRemover": modifiers.LineRemover(["a word", ""]),
    "MarkdownRemover": modifiers.MarkdownRemover(),
    "NewlineNormalizer": modifiers.NewlineNormalizer(),
    "QuotationRemover": modifiers.QuotationRemover(),
    "Slicer": modifiers.Slicer("a", "b"),
    "Slicer of numbers": modifiers.Slicer(1, -1),
    "UnicodeReformatter": modifiers.UnicodeReformatter(),
    "UnicodeReformatter with all": modifiers.UnicodeReformatter(
        fix_latin_ligatures=True,
        fix_character_width=True,
        uncurl_quotes=True,
        fix_line_breaks=True,
        normalization="NFC",
    ),
    "UrlRemover": modifiers.UrlRemover(),
    "WhitespaceNormalizer": modifiers.WhitespaceNormalizer(),
}
# What it adds to a text; the others only take away.
ADDS = {"FastTextLabelModifier", "UnicodeReformatter", "UnicodeReformatter with all"}


def test_every_modifier_is_here() -> None:
    named = {
        name
        for module in (modifiers, recipes)
        for name in module.__all__
        if isinstance(found := getattr(module, name), type)
        and issubclass(found, DocumentModifier)
        and not inspect.isabstract(found)
    }
    assert {name.partition(" ")[0] for name in MODIFIERS} == named


def check(name: str, text: str) -> None:
    changed = MODIFIERS[name].modify_document(text)
    assert type(changed) is str
    assert MODIFIERS[name].modify_document(text) == changed
    if name not in ADDS:
        assert len(changed) <= len(text)


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("name", MODIFIERS)
def test_any_text_becomes_a_text(name: str, kind: str) -> None:
    check(name, TEXTS[kind])


@pytest.mark.parametrize("name", MODIFIERS)
@given(
    text=st.text(alphabet=st.characters(codec=None), max_size=80) | st.text("ab .\n\r\t#*_[]()\"'{/-…。", max_size=80)
)
@settings(max_examples=40, deadline=None)
def test_no_text_breaks_a_modifier(name: str, text: str) -> None:
    check(name, text)


@pytest.mark.parametrize("name", MODIFIERS)
def test_a_column_of_numbers_is_an_error_that_names_it(name: str) -> None:
    stage = Modify(MODIFIERS[name], "n", name="change")
    with pytest.raises(DataError, match=r"stage 'change': column 'n' of task d is not text"):
        stage.process(DocumentBatch(dataset_name="d", data=pd.DataFrame({"n": [1, 2]})))


# The suite's time limit is what fails a search in quadratic time: that would take minutes here, and hours in the soak.
@pytest.mark.parametrize("length", [10**5, pytest.param(10**6, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
@pytest.mark.parametrize("name", MODIFIERS)
def test_a_long_run_of_anything_takes_time_in_proportion(name: str, length: int) -> None:
    for pattern in PATTERNS.values():
        check(name, pattern * (length // len(pattern)))


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", MODIFIERS)
def test_a_document_of_ten_megabytes(name: str) -> None:
    check(name, TEN_MEGABYTES)


@pytest.mark.parametrize("name", MODIFIERS)
def test_a_modifier_travels_is_a_stage_and_has_one_fingerprint(name: str) -> None:
    fresh = digest_of(MODIFIERS[name])
    stage = Modify(pickle.loads(pickle.dumps(MODIFIERS[name])))
    batch = DocumentBatch(dataset_name="d", data=pd.DataFrame({"text": [*TEXTS.values(), None]}, dtype=object))
    changed = stage.process(batch).to_pandas()["text"]
    assert [value for value in changed if isinstance(value, str)] == [
        MODIFIERS[name].modify_document(text) for text in TEXTS.values()
    ]
    assert pd.isna(changed.iloc[-1])
    assert digest_of(MODIFIERS[name]) == fresh
