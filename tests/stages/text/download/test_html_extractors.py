"""Text out of HTML: what the three algorithms keep, and what they all have to stand."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from nemo_curator.stages.text.download.html_extractors import (
    HTMLExtractorAlgorithm,
    JusTextExtractor,
    ResiliparseExtractor,
    TrafilaturaExtractor,
)
from nemo_curator.stages.text.download.html_extractors.base import with_enough_stop_words
from nemo_curator.stages.text.download.html_extractors.languages import default_stop_lists

STOP = frozenset(
    [
        "the",
        "a",
        "of",
        "and",
        "to",
        "in",
        "is",
        "that",
        "it",
        "was",
        "for",
        "on",
        "are",
        "as",
        "with",
        "they",
        "be",
        "at",
    ]
)
SENTENCE = "It is said that the best of the tea is drunk in the afternoon, and that it was always so. "
PAGE = f"""<!DOCTYPE html><html><head><title>Tea</title><script>var x = "secret";</script></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/b">Shop now</a></li></ul></nav>
<main><article><h1>Tea</h1><p>{SENTENCE * 4}</p><p>{SENTENCE * 3}</p></article></main>
<footer><a href="/imprint">Imprint</a> Copyright 2024</footer></body></html>"""

ALGORITHMS: dict[str, HTMLExtractorAlgorithm] = {
    "justext": JusTextExtractor(),
    "resiliparse": ResiliparseExtractor(),
    "trafilatura": TrafilaturaExtractor(),
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_running_text_stays_and_the_rest_goes(name: str) -> None:
    algorithm = pickle.loads(pickle.dumps(ALGORITHMS[name]))
    paragraphs = algorithm.extract_text(PAGE, STOP, "ENGLISH")
    assert paragraphs is not None
    # Whether a heading stays is for each of them to say.
    assert [text.strip() for text in paragraphs if text != "Tea"] == [(SENTENCE * times).strip() for times in (4, 3)]


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize(
    "html",
    [
        "",
        "   ",
        "<!-- x -->",
        "<html></html>",
        "\x00",
        "\udcff",
        "<",
        "<p>" * 3000,
        "<?xml version='1.0' encoding='utf-16'?><p>x</p>",
    ],
)
def test_what_has_no_text_gives_none(name: str, html: str) -> None:
    assert ALGORITHMS[name].extract_text(html, STOP, "ENGLISH") is None


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("language", ["CHINESE", "JAPANESE", "KOREAN", "THAI"])
def test_stop_words_are_not_counted_where_that_makes_no_sense(name: str, language: str) -> None:
    text = "茶是一种饮料茶是一种饮料茶是一种饮料茶是一种饮料。" * 20
    assert ALGORITHMS[name].extract_text(f"<html><body><p>{text}</p></body></html>", frozenset(), language) == [text]


def test_every_algorithm_stands_real_pages(pages: list[dict[str, Any]]) -> None:
    words = default_stop_lists()["ENGLISH"]
    for algorithm in ALGORITHMS.values():
        found = [algorithm.extract_text(page["html"], words, "ENGLISH") for page in pages[::9]]
        assert sum(paragraphs is not None for paragraphs in found) >= 5


def test_options_of_justext() -> None:
    everything = JusTextExtractor(is_boilerplate=False).extract_text(PAGE, STOP, "ENGLISH")
    assert everything is not None
    assert "Shop now" in " ".join(everything)
    strict = JusTextExtractor(length_low=5000, length_high=9000).extract_text(PAGE, STOP, "ENGLISH")
    assert strict is None
    assert JusTextExtractor(is_boilerplate=True).extract_text("<p>茶</p>", frozenset(), "CHINESE") is None


def test_options_of_resiliparse() -> None:
    html = f"<body><nav>menu</nav><p>{SENTENCE}<img src=x alt='a cup'></p></body>"
    found = ResiliparseExtractor(required_stopword_density=0.0, main_content=False, alt_texts=True).extract_text(
        html, STOP, "ENGLISH"
    )
    assert found is not None
    assert "menu" in " ".join(found)
    assert "a cup" in " ".join(found)


def test_options_of_trafilatura(pages: list[dict[str, Any]]) -> None:
    assert TrafilaturaExtractor(min_output_size=100_000).extract_text(PAGE, STOP, "ENGLISH") is None
    # The package would remember paragraphs of other pages; then the second time nothing would be left.
    once = TrafilaturaExtractor(0.0, max_repetitions=1, deduplicate=True)
    results = [once.extract_text(PAGE, STOP, "ENGLISH") for _ in range(4)]
    assert results[0] is not None
    assert results == [results[0]] * 4


def test_shares_of_stop_words() -> None:
    paragraphs = ["The tea is good", "  Cheap tea online  ", "", " "]
    assert with_enough_stop_words(paragraphs, STOP, "ENGLISH", 0.5) == ["The tea is good"]
    assert with_enough_stop_words(paragraphs, STOP, "ENGLISH", 0.0) == ["The tea is good", "Cheap tea online"]
    assert with_enough_stop_words(paragraphs, STOP, "ENGLISH", 0.9) is None
    assert with_enough_stop_words(paragraphs, STOP, "THAI", 0.9) == ["The tea is good", "Cheap tea online"]


def test_default_stop_lists() -> None:
    lists = default_stop_lists()
    assert "the" in lists["ENGLISH"]
    assert "und" in lists["GERMAN"]
    assert lists["THAI"] == lists["CHINESE"] == lists["JAPANESE"] == frozenset()
    assert len(lists) > 100
