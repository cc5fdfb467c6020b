from __future__ import annotations

import pickle

import ftfy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nemo_curator.stages.text import modifiers
from nemo_curator.stages.text.modifiers import (
    BoilerPlateStringModifier,
    DocumentModifier,
    FastTextLabelModifier,
    LineRemover,
    MarkdownRemover,
    NewlineNormalizer,
    QuotationRemover,
    Slicer,
    UnicodeReformatter,
    UrlRemover,
    WhitespaceNormalizer,
)

NOTICE = "We use cookies."

CHANGES: list[tuple[DocumentModifier, str, str]] = [
    (BoilerPlateStringModifier(), "a\n\nb", "a\n\nb"),
    (BoilerPlateStringModifier(), "a\n\nLorem IPSUM dolor", ""),
    (BoilerPlateStringModifier(), f"{NOTICE}\n\na\n\n\nb", "a\n\n\nb"),
    (BoilerPlateStringModifier(), f"a\n\nb\n \nSee our Privacy Policy.\n\n{NOTICE}\n", "a\n\nb"),
    (BoilerPlateStringModifier(), f"a\n\n{NOTICE}\n\nb", f"a\n\n{NOTICE}\n\nb"),
    (BoilerPlateStringModifier(), f"{NOTICE}\n\na\n\n{NOTICE}", f"{NOTICE}\n\na\n\n{NOTICE}"),
    (BoilerPlateStringModifier(), f"{NOTICE}\n\n{NOTICE}", f"{NOTICE}\n\n{NOTICE}"),
    (BoilerPlateStringModifier(False), f"a\n\n{NOTICE}", ""),
    (BoilerPlateStringModifier(False), "a\n\nb", "a\n\nb"),
    (BoilerPlateStringModifier(), "", ""),
    (LineRemover(["x", ""]), "a\nx\n\n x\nb", "a\n x\nb"),
    (LineRemover(["x"]), "x", ""),
    (LineRemover([]), "a\n", "a\n"),
    (MarkdownRemover(), "**b** and *i* and _u_", "b and i and u"),
    (MarkdownRemover(), "**a *b* c**", "a b c"),
    (MarkdownRemover(), "[text](http://a.b/c_d) [x] (y)", "http://a.b/c_d [x] (y)"),
    (MarkdownRemover(), "2 * 3 * 4 snake_case_name __init__", "2 * 3 * 4 snake_case_name __init__"),
    (MarkdownRemover(), "_a_b_ *one\ntwo*", "a_b *one\ntwo*"),
    (MarkdownRemover(), "", ""),
    (NewlineNormalizer(), "a\n\n\n\nb\n\nc", "a\n\nb\n\nc"),
    (NewlineNormalizer(), "a\r\n\r\n\r\nb\r\n\r\nc", "a\r\n\r\nb\r\n\r\nc"),
    (QuotationRemover(), '"a b"', "a b"),
    (QuotationRemover(), ' "a\nb" ', "a\nb"),
    (QuotationRemover(), '"a"\n"b"', '"a"\n"b"'),
    (QuotationRemover(), '""', '""'),
    (QuotationRemover(), '"a', '"a'),
    (QuotationRemover(), " a ", " a "),
    (Slicer(1, 3), "abcd", "bc"),
    (Slicer(1, -1), "abcd", "bc"),
    (Slicer(), " abc ", "abc"),
    (Slicer(strip=False), " abc ", " abc "),
    (Slicer("b", "d"), "abcbdxdy", "bcbdxd"),
    (Slicer("b", "d", include_left=False, include_right=False), "abcbdxdy", "cbdx"),
    (Slicer("<h>", None, include_left=False), "x<h> y", "y"),
    (Slicer("q"), "abc", ""),
    (Slicer(0, "q"), "abc", ""),
    (Slicer("c", "a"), "abc", ""),
    (UrlRemover(), "see http://a.b/c?d or WWW.x.y, HTTPS://z\nend", "see  or  \nend"),
    (UrlRemover(), "no url: http www", "no url: http www"),
    (FastTextLabelModifier("__label__hq"), "a\nb __label__x c", "__label__hq a b  x c"),
    (FastTextLabelModifier("__label__hq"), "", "__label__hq "),
    (
        UnicodeReformatter(),
        "The Mona Lisa doesnÃƒÂ¢Ã¢â€šÂ¬Ã¢â€žÂ¢t have eyebrows.",
        "The Mona Lisa doesn\u2019t have eyebrows.",
    ),
    (UnicodeReformatter(), "\ufb01 \u201cq\u201d \uff21\r\n", "\ufb01 \u201cq\u201d \uff21\r\n"),
    (UnicodeReformatter(uncurl_quotes=True), "\u201cq\u201d", '"q"'),
    (UnicodeReformatter(), "a &amp; b\x07", "a & b"),
    (UnicodeReformatter(ftfy.TextFixerConfig(fix_latin_ligatures=True)), "\ufb01", "fi"),
    (UnicodeReformatter(), "", ""),
    (WhitespaceNormalizer(), "  a \t  b \n\n\tc\u00a0 d  \r\ne ", "a b\n\nc\u00a0 d\r\ne"),
    (WhitespaceNormalizer(), " \t\n ", "\n"),
]


@pytest.mark.parametrize(("modifier", "text", "changed"), CHANGES)
def test_changes(modifier: DocumentModifier, text: str, changed: str) -> None:
    assert modifier.modify_document(text) == changed


def test_modifiers_are_named_after_their_class_and_travel() -> None:
    assert Slicer().name == "Slicer"
    seen = {type(modifier).__name__ for modifier, _, _ in CHANGES}
    assert seen == set(modifiers.__all__) - {"DocumentModifier", "Modify"}
    for modifier, text, changed in CHANGES:
        assert pickle.loads(pickle.dumps(modifier)).modify_document(text) == changed


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="uncurl_quotes"):
        UnicodeReformatter(uncurl_quote=True)
    with pytest.raises(ValueError, match="either a config or options"):
        UnicodeReformatter(ftfy.TextFixerConfig(), uncurl_quotes=True)
    with pytest.raises(TypeError, match="list of lines"):
        LineRemover("abc")


def test_the_options_of_ftfy_are_known_by_name() -> None:
    assert UnicodeReformatter(**ftfy.TextFixerConfig()._asdict()).modify_document("&lt;") == ftfy.fix_text("&lt;")


@settings(deadline=None)
@given(st.text(st.characters(codec="ascii")))
def test_ascii_that_is_not_shown_to_ftfy_needs_no_change(text: str) -> None:
    for options in ({}, {"fix_line_breaks": True, "uncurl_quotes": True, "normalization": "NFKC"}):
        ours = {"fix_latin_ligatures": False, "fix_character_width": False, "uncurl_quotes": False}
        config = ftfy.TextFixerConfig(**{**ours, "fix_line_breaks": False, "normalization": None, **options})
        assert UnicodeReformatter(**options).modify_document(text) == ftfy.fix_text(text, config)


@settings(deadline=None, max_examples=1000)
@given(st.text(st.sampled_from("ab \t\r\n")))
@example("a \r \n")
def test_normalized_white_space_stays_as_it_is(text: str) -> None:
    once = WhitespaceNormalizer().modify_document(text)
    assert WhitespaceNormalizer().modify_document(once) == once
    assert once.split() == text.split()
    assert all(line == line.strip(" \t") for line in once.replace("\r\n", "\n").split("\n"))


@pytest.mark.parametrize("unit", ["*a ", "_a ", "[", "[a](", "**", "_", " _a_b"])
def test_markdown_is_removed_in_linear_time(unit: str) -> None:
    text = unit * 20_000  # quadratic time would run into the time limit of the test
    assert len(MarkdownRemover().modify_document(text)) <= len(text)
