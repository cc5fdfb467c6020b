from __future__ import annotations

import importlib.util
import pickle

import pytest

from nemo_curator.errors import MissingExtra
from nemo_curator.stages.text.filters.heuristic import RepeatingTopNGramsFilter, WordCountFilter
from nemo_curator.stages.text.utils.text_utils import (
    get_ngrams,
    get_paragraphs,
    get_sentences,
    get_word_splitter,
    paragraph_spans,
    word_separator,
)


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def test_words_are_what_white_space_separates() -> None:
    assert get_word_splitter("en")(" a\tb\n\u3000c ") == ["a", "b", "c"]
    assert get_word_splitter("de-AT")("a b") == ["a", "b"]


@pytest.mark.parametrize(("lang", "module"), [("zh", "jieba"), ("zh-CN", "jieba"), ("ja", "MeCab"), ("JA_JP", "MeCab")])
def test_a_missing_dictionary_is_found_at_construction(lang: str, module: str) -> None:
    if installed(module):
        assert pickle.loads(pickle.dumps(get_word_splitter(lang)))
        return
    with pytest.raises(MissingExtra, match=r"curator-backends\[cjk\]"):
        WordCountFilter(lang=lang)


@pytest.mark.skipif(not installed("jieba"), reason="needs the extra cjk")
@pytest.mark.filterwarnings("ignore")
def test_chinese_words() -> None:
    assert get_word_splitter("zh")("我爱 北京") == ["我", "爱", "北京"]
    # without spaces between words, a repeated pair is found as it stands: 4 of 6 characters
    assert RepeatingTopNGramsFilter(2, lang="zh").score_document("我爱我爱北京") == 4 / 6


@pytest.mark.skipif(not installed("MeCab"), reason="needs the extra cjk")
def test_japanese_words() -> None:
    assert get_word_splitter("ja")("私は学生です") == ["私", "は", "学生", "です"]


def test_words_of_unspaced_languages_are_joined_by_nothing() -> None:
    assert [word_separator(lang) for lang in ("en", "zh", "zh_Hans", "ja", "ko")] == [" ", "", "", "", " "]


def test_lines_and_paragraphs() -> None:
    text = " a \r\nb\n\n \t\n  c\n"
    assert get_sentences(text) == ["a", "b", "c"]
    assert get_paragraphs(text) == ["a \r\nb", "c"]
    assert [text[start:stop] for start, stop in paragraph_spans(text)] == [" a \r\nb", "  c\n"]
    assert (get_sentences(" \n"), get_paragraphs("\n \n\n"), paragraph_spans("")) == ([], [], [])


def test_ngrams_overlap() -> None:
    assert list(get_ngrams(["a", "b", "c"], 2)) == [("a", "b"), ("b", "c")]
    assert list(get_ngrams(["a"], 2)) == []
