"""What a word, a line, a paragraph and an n-gram is, for every filter and modifier alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from nemo_curator.errors import require

__all__ = [
    "WordSplitter",
    "get_ngrams",
    "get_paragraphs",
    "get_sentences",
    "get_word_splitter",
    "paragraph_spans",
    "word_separator",
]

WordSplitter = Callable[[str], list[str]]

_BLANK_LINES = re.compile(r"\n\s*\n")
_UNSPACED = ("zh", "ja")


def get_word_splitter(lang: str = "en") -> WordSplitter:
    """Return the function that cuts a text into words.

    Chinese is cut by jieba and Japanese by MeCab, every other language at white space. The function can be pickled; the
    dictionaries are loaded at its first call.

    Args:
        lang: ISO 639-1 code, with or without a region or script (``zh``, ``zh-CN``).

    Raises:
        MissingExtra: The language needs a package that is not installed.
    """
    base = _base_language(lang)
    if base == "zh":
        require("jieba", extra="cjk", purpose="splitting Chinese into words")
        return _split_chinese
    if base == "ja":
        require("MeCab", extra="cjk", purpose="splitting Japanese into words")
        return _split_japanese
    return str.split


def word_separator(lang: str = "en") -> str:
    """Return what stands between two words of that language: a space, or nothing in Chinese and Japanese."""
    return "" if _base_language(lang) in _UNSPACED else " "


def get_sentences(text: str) -> list[str]:
    """Return the lines that are not blank, without the white space around them.

    In web text a line is the unit that the published line rules count, whether or not it is one sentence.
    """
    return [line for raw in text.split("\n") if (line := raw.strip())]


def get_paragraphs(text: str) -> list[str]:
    """Return the parts between blank lines that are not blank, without the white space around them."""
    return [paragraph for raw in _BLANK_LINES.split(text) if (paragraph := raw.strip())]


def paragraph_spans(text: str) -> list[tuple[int, int]]:
    """Return where the paragraphs that are not blank begin and end, with the white space around them."""
    starts, stops = [0], []
    for gap in _BLANK_LINES.finditer(text):
        stops.append(gap.start())
        starts.append(gap.end())
    stops.append(len(text))
    return [
        (start, stop)
        for start, stop in zip(starts, stops, strict=True)
        if not text[start:stop].isspace() and start < stop
    ]


def get_ngrams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """Return every run of `n` words, in order, overlapping."""
    return zip(*(words[start:] for start in range(n)), strict=False)


def _base_language(lang: str) -> str:
    return re.split(r"[-_]", lang, maxsplit=1)[0].lower()


def _split_chinese(text: str) -> list[str]:
    import jieba  # pyright: ignore[reportMissingImports] - an extra

    return [word for word in jieba.cut(text) if not word.isspace()]


def _split_japanese(text: str) -> list[str]:
    return _mecab().parse(text).split()


@lru_cache(maxsize=1)
def _mecab() -> Any:
    import MeCab  # pyright: ignore[reportMissingImports] - an extra

    return MeCab.Tagger("-Owakati")
