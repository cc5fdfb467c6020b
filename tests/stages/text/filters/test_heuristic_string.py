from __future__ import annotations

import pickle
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.text.filters import DocumentFilter, heuristic
from nemo_curator.stages.text.filters.heuristic import (
    BoilerPlateStringFilter,
    BulletsFilter,
    CommonEnglishWordsFilter,
    EllipsisFilter,
    LongWordFilter,
    MeanWordLengthFilter,
    NonAlphaNumericFilter,
    NumbersFilter,
    ParenthesesFilter,
    PornographicUrlsFilter,
    PunctuationFilter,
    SubstringFilter,
    SymbolsToWordsFilter,
    UrlsFilter,
    WhiteSpaceFilter,
    WordCountFilter,
    WordsWithoutAlphabetsFilter,
)

SCORES: list[tuple[DocumentFilter, str, Any, bool]] = [
    # 2 of 8 are outside [a-zA-Z0-9\n?!,.]: the space and the é
    (NonAlphaNumericFilter(), "ab\n 1,é.", 2 / 8, True),
    (NonAlphaNumericFilter(), "a -", 2 / 3, False),
    (NonAlphaNumericFilter(), "你好", 1.0, False),
    (NonAlphaNumericFilter(), "", 1.0, False),
    (NonAlphaNumericFilter(), " \t", 1.0, False),
    (NonAlphaNumericFilter(), "ab\ud800c", 1 / 4, True),
    (NumbersFilter(), "abcdefghi1", 0.1, True),
    (NumbersFilter(), "a1b2", 0.5, False),
    (NumbersFilter(), "é٣३", 2 / 3, False),
    (NumbersFilter(), "²½abcdefgh", 0.0, True),
    (NumbersFilter(), "   ", 0.0, True),
    (NumbersFilter(), "", 1.0, False),
    (WhiteSpaceFilter(), "abc d", 0.2, True),
    (WhiteSpaceFilter(), "a\t\n\r\b b", 5 / 7, False),
    (WhiteSpaceFilter(), "a\u00a0\u3000b", 0.0, True),
    (WhiteSpaceFilter(), " ", 1.0, False),
    (WhiteSpaceFilter(), "", 1.0, False),
    (ParenthesesFilter(), "f(abcdefghijklmnopqr)", 0.0952380952, True),
    (ParenthesesFilter(), "{}⟨⟩[]()ab", 0.8, False),
    (ParenthesesFilter(), "", 1.0, False),
    (SymbolsToWordsFilter(0.5), "a ## b ...", 0.5, True),
    (SymbolsToWordsFilter(), "##a #b# c#d a", 2 / 4, False),  # ##a and #b# are more than half hashes, c#d is not
    (SymbolsToWordsFilter(), "#a b […] -» (...)", 3 / 5, False),  # exactly half is not more than half
    (SymbolsToWordsFilter(), "wait... what", 0.0, True),
    (SymbolsToWordsFilter(), " \n ", 1.0, False),
    (SymbolsToWordsFilter(), "", 1.0, False),
    (LongWordFilter(4), "a bcde fg", 4, True),
    (LongWordFilter(4), "a bcdef", 5, False),
    (LongWordFilter(4), "  ", 0, True),
    (WordCountFilter(2, 3), "one two\nthree", 3, True),
    (WordCountFilter(2, 3), "one", 1, False),
    (WordCountFilter(2, 3), "1 2 3 4", 4, False),
    (WordCountFilter(2, 3), "a\u3000b", 2, True),
    (WordCountFilter(), " \t", 0, False),
    (MeanWordLengthFilter(), "abc de\nfghi", 3.0, True),
    (MeanWordLengthFilter(), "a b", 1.0, False),
    (MeanWordLengthFilter(), "abcdefghijk", 11.0, False),
    (MeanWordLengthFilter(), "  ", 0.0, False),
    (CommonEnglishWordsFilter(), "the cat and the dog", 2, True),
    (CommonEnglishWordsFilter(stop_at_false=False), "the cat and the dog", 3, True),
    (CommonEnglishWordsFilter(), "The cat, that", 1, False),
    (CommonEnglishWordsFilter(), "", 0, False),
    (WordsWithoutAlphabetsFilter(), "a 1b «c» 你 9", 0.8, True),
    (WordsWithoutAlphabetsFilter(), "a 1 ² _", 0.25, False),
    (WordsWithoutAlphabetsFilter(), " ", 0.0, False),
    (BulletsFilter(), "• a\n  ■ b\n\nc", 2 / 3, True),
    (BulletsFilter(), "• a\n▶ b", 1.0, False),
    (BulletsFilter(), "- a\n* b", 0.0, True),
    (BulletsFilter(), " \n ", 1.0, False),
    (EllipsisFilter(), "a\nb\nc\nd…", 0.25, True),
    (EllipsisFilter(), "a...\nb [...] \nRead More\nd.", 3 / 4, False),
    (EllipsisFilter(), "", 1.0, False),
    (PunctuationFilter(), 'a.\nb? \n"c"\n\nd', 0.25, True),
    (PunctuationFilter(), "a\nb", 1.0, False),
    (PunctuationFilter(), "你好。", 1.0, False),
    (PunctuationFilter(), "\n", 1.0, False),
    (BoilerPlateStringFilter(), "Text.\n\nMore.\n \nOur Privacy Policy applies.", 1 / 3, True),
    (BoilerPlateStringFilter(), "Text.\n\nThis site uses cookies.", 0.5, False),
    (BoilerPlateStringFilter(), "Text.\n\nMore.", 0.0, True),
    (BoilerPlateStringFilter(), "a\n\nb\n\nc\n\nLorem Ipsum dolor", 1.0, False),
    (BoilerPlateStringFilter(), "\n\n", 1.0, False),
    (UrlsFilter(), "see http://a.b/c or not, it is your own choice, really it is", 12 / 60, True),
    (UrlsFilter(), "https://a.b/%20c? www.x.y", 17 / 25, False),
    (UrlsFilter(), "https://a.b/%zz", 12 / 15, False),  # a percent sign without two digits ends a URL
    (UrlsFilter(url_regex=r"www\.\S+"), "http://a www.b", 5 / 14, False),
    (UrlsFilter(), "", 1.0, False),
    (UrlsFilter(), "  ", 0.0, True),
    (PornographicUrlsFilter(), "porn http://a.b", 0, True),
    (PornographicUrlsFilter(), "x http://a.b https://PornHost.c/d", 1, False),
    (PornographicUrlsFilter(url_regex=r"www\.\S+"), "http://porn.a", 0, True),
    (PornographicUrlsFilter(), "", 0, True),
    (SubstringFilter("ab", "prefix"), "abc", 1, True),
    (SubstringFilter("ab", "prefix"), "cab", 0, False),
    (SubstringFilter("ab", "suffix"), "cab", 1, True),
    (SubstringFilter("ab", "suffix"), "abc", 0, False),
    (SubstringFilter(".", "any"), "a.b", 1, True),
    (SubstringFilter(".", "any"), "ab", 0, False),
]


@pytest.mark.parametrize(("rule", "text", "score", "kept"), SCORES)
def test_scores(rule: DocumentFilter, text: str, score: Any, kept: bool) -> None:
    found = rule.score_document(text)
    assert found == pytest.approx(score)
    assert rule.keep_document(found) is kept


NAMES = {
    "BoilerPlateStringFilter": "boilerplate_string_ratio",
    "BulletsFilter": "bullet_ratio",
    "CommonEnglishWordsFilter": "common_english_words",
    "EllipsisFilter": "ellipsis",
    "LongWordFilter": "max_word_length",
    "MeanWordLengthFilter": "mean_word_length",
    "NonAlphaNumericFilter": "alpha_numeric",
    "NumbersFilter": "numbers_ratio",
    "ParenthesesFilter": "parentheses_ratio",
    "PornographicUrlsFilter": "PornographicUrlsFilter",
    "PunctuationFilter": "punctuation",
    "RepeatedLinesByCharFilter": "repeated_lines_char",
    "RepeatedLinesFilter": "repeated_lines",
    "RepeatedParagraphsByCharFilter": "repeated_paragraphs_char",
    "RepeatedParagraphsFilter": "repeated_paragraphs",
    "RepeatingDuplicateNGramsFilter": "repeating_dup_2gram",
    "RepeatingTopNGramsFilter": "repeating_top_2grams",
    "SubstringFilter": "SubstringFilter",
    "SymbolsToWordsFilter": "symbol_to_word",
    "UrlsFilter": "urls_ratio",
    "WhiteSpaceFilter": "white_space",
    "WordCountFilter": "word_count",
    "WordsWithoutAlphabetsFilter": "words_without_alphabets",
}


def every_rule() -> list[DocumentFilter]:
    needed = {"SubstringFilter": ("x", "any")}
    return [getattr(heuristic, name)(*needed.get(name, ())) for name in heuristic.__all__]


def test_names_are_those_of_the_contract() -> None:
    assert {type(rule).__name__: rule.name for rule in every_rule()} == NAMES


@pytest.mark.parametrize("rule", every_rule(), ids=lambda rule: rule.name)
def test_rules_travel_and_take_any_text(rule: DocumentFilter) -> None:
    again = pickle.loads(pickle.dumps(rule))
    texts = ["", " \n\t ", "one two three. " * 9, "你好世界。\n\n你好", "\ud800 \x00", "a\n\na\n\na"]
    scores = again.score_many(texts)
    assert list(scores) == [rule.score_document(text) for text in texts]
    assert {type(again.keep_document(score)) for score in scores} == {bool}


@pytest.mark.parametrize("rule", every_rule(), ids=lambda rule: rule.name)
@pytest.mark.parametrize("text", ["", " \n "])
def test_no_ratio_keeps_a_text_without_content(rule: DocumentFilter, text: str) -> None:
    score = rule.score_document(text)
    if isinstance(score, float) and not (text and isinstance(rule, (NumbersFilter, ParenthesesFilter, UrlsFilter))):
        assert not rule.keep_document(score)


def test_limits_on_two_sides_say_which_side() -> None:
    assert [WordCountFilter(2, 3).drop_reason(n) for n in (1, 4)] == ["word_count_low", "word_count_high"]
    rule = MeanWordLengthFilter()
    assert [rule.drop_reason(n) for n in (1.0, 11.0)] == ["mean_word_length_low", "mean_word_length_high"]


def test_lines_and_paragraphs_set_from_outside_are_used() -> None:
    bullets, boilerplate = BulletsFilter(), BoilerPlateStringFilter()
    bullets.sentences = ["• a", "b"]
    assert bullets.score_document("ignored") == 0.5
    boilerplate.paragraphs = ["privacy policy", "b", "c", "d"]
    assert boilerplate.score_document("ignored privacy policy") == 0.25


def test_substring_needs_a_known_position() -> None:
    with pytest.raises(ValueError, match="middle"):
        SubstringFilter("a", "middle")


text = st.text(st.characters() | st.sampled_from("a1 \n#.•…()[]٣²_"), max_size=40)


@settings(deadline=None)
@given(text)
def test_characters_are_counted_as_one_by_one(text: str) -> None:
    def share(kind: Any) -> float:
        return sum(map(kind, text)) / len(text) if text else 1.0

    kept = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789\n?!,.")
    assert NonAlphaNumericFilter().score_document(text) == share(lambda c: c not in kept)
    assert NumbersFilter().score_document(text) == share(lambda c: unicodedata.category(c) == "Nd")
    assert WhiteSpaceFilter().score_document(text) == share(lambda c: c in "\t\n\r\b ")
    assert ParenthesesFilter().score_document(text) == share(lambda c: c in "{}⟨⟩[]()")


@settings(deadline=None)
@given(text)
def test_words_are_judged_as_one_by_one(text: str) -> None:
    words = text.split()
    if not words:
        return
    with_letter = sum(any(c.isalpha() for c in word) for word in words)
    assert WordsWithoutAlphabetsFilter().score_document(text) == with_letter / len(words)
    assert MeanWordLengthFilter().score_document(text) == sum(map(len, words)) / len(words)
    marks = {"...", "[...]", "…", "(...)", "[…]", "-»", "read more..", "read more"}
    symbols = sum(word in marks or word.count("#") > len(word) / 2 for word in words)
    assert SymbolsToWordsFilter().score_document(text) == symbols / len(words)
