from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.text.filters import DocumentFilter
from nemo_curator.stages.text.filters.heuristic import (
    RepeatedLinesByCharFilter,
    RepeatedLinesFilter,
    RepeatedParagraphsByCharFilter,
    RepeatedParagraphsFilter,
    RepeatingDuplicateNGramsFilter,
    RepeatingTopNGramsFilter,
)

SCORES: list[tuple[DocumentFilter, str, float, bool]] = [
    (RepeatedLinesFilter(), "a\nb\na\nc", 3 / 4, True),
    (RepeatedLinesFilter(), "a\n a \n\nb", 2 / 3, False),
    (RepeatedLinesFilter(), "", 0.0, False),
    (RepeatedLinesFilter(), " \n ", 0.0, False),
    (RepeatedLinesByCharFilter(), "aaaa\nb\nb\nccccc", 10 / 11, True),
    (RepeatedLinesByCharFilter(), "aaaa\nb\naaaa", 5 / 9, False),
    (RepeatedLinesByCharFilter(), "\n", 0.0, False),
    (RepeatedParagraphsFilter(), "a\nb\n\na\n\nb", 1.0, True),
    (RepeatedParagraphsFilter(), "a\n\na\n \t\nb", 2 / 3, False),
    (RepeatedParagraphsFilter(), "", 0.0, False),
    (RepeatedParagraphsByCharFilter(), "aaaa\n\nb\n\nb", 5 / 6, True),
    (RepeatedParagraphsByCharFilter(), "你好\n\n你好\n\nb", 3 / 5, False),
    (RepeatedParagraphsByCharFilter(), " ", 0.0, False),
    # "a b" occurs twice: 6 of 11 characters
    (RepeatingTopNGramsFilter(2), "a b c a b d", 6 / 11, False),
    # across a line end the words are an n-gram, but not joined by a space, so only one of the two is deleted
    (RepeatingTopNGramsFilter(2), "a b c a\nb d", 3 / 11, False),
    (RepeatingTopNGramsFilter(2, 0.3), "ab cd ef gh ij kl", 5 / 17, True),  # all occur once: the first
    (RepeatingTopNGramsFilter(3), "a b", 1.0, False),
    (RepeatingTopNGramsFilter(), "", 1.0, False),
    (RepeatingTopNGramsFilter(), " \n", 1.0, False),
    (RepeatingTopNGramsFilter(1), "你 好 你", 2 / 5, False),
    # the second "a b": 3 of 11 characters
    (RepeatingDuplicateNGramsFilter(2), "a b c a b d", 3 / 11, False),
    # "a a" came before at words 1-2 and 2-3, which overlap: "a a a", 5 of 7 characters
    (RepeatingDuplicateNGramsFilter(2), "a a a a", 5 / 7, False),
    # two repeats side by side: the space between them is in neither
    (RepeatingDuplicateNGramsFilter(2), "a b x c d y c d a b", 6 / 19, False),
    (RepeatingDuplicateNGramsFilter(1), "ab c ab c", 3 / 9, False),
    (RepeatingDuplicateNGramsFilter(2, 0.5), "a b c d", 0.0, True),
    (RepeatingDuplicateNGramsFilter(3), "a b", 0.0, True),
    (RepeatingDuplicateNGramsFilter(2), "", 1.0, False),
    (RepeatingDuplicateNGramsFilter(2), " \t", 1.0, False),
]


@pytest.mark.parametrize(("rule", "text", "score", "kept"), SCORES)
def test_scores(rule: DocumentFilter, text: str, score: float, kept: bool) -> None:
    found = rule.score_document(text)
    assert found == pytest.approx(score)
    assert rule.keep_document(found) is kept


def test_names_hold_the_size() -> None:
    assert RepeatingTopNGramsFilter(4).name == "repeating_top_4grams"
    assert RepeatingDuplicateNGramsFilter(5).name == "repeating_dup_5gram"
    with pytest.raises(ValueError, match="at least one word"):
        RepeatingTopNGramsFilter(0)


def test_caches_are_used_when_set() -> None:
    lines, paragraphs, top = RepeatedLinesFilter(), RepeatedParagraphsByCharFilter(), RepeatingTopNGramsFilter(2)
    lines.sentences, paragraphs.paragraphs, top.ngrams = ["a", "a"], ["aa", "aa", "bb"], {"x y": 1, "a b": 2}
    assert lines.score_document("ignored") == 0.5
    assert paragraphs.score_document("ignored") == 4 / 6
    assert top.score_document("a b a b ab") == 6 / 10


def marked_characters(words: list[str], n: int) -> int:
    """Count what the duplicate rule counts, character by character."""
    starts = [sum(len(word) + 1 for word in words[:at]) for at in range(len(words))]
    seen: set[Any] = set()
    marked: set[int] = set()
    for at in range(len(words) - n + 1):
        ngram = tuple(words[at : at + n])
        if ngram in seen:
            marked.update(range(starts[at], starts[at + n - 1] + len(words[at + n - 1])))
        seen.add(ngram)
    return len(marked)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "bb", "ccc", "你"]), min_size=1, max_size=14), st.integers(1, 4))
def test_duplicates_are_counted_as_by_marking_characters(words: list[str], n: int) -> None:
    text = " ".join(words)
    assert RepeatingDuplicateNGramsFilter(n).score_document(text) == marked_characters(words, n) / len(text)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "bb", "ccc"]), min_size=2, max_size=14))
def test_the_top_ngram_is_what_deleting_removes(words: list[str]) -> None:
    text = " ".join(words)
    pairs = [" ".join(pair) for pair in pairwise(words)]
    top = max(pairs, key=pairs.count)
    removed = len(text) - len(text.replace(top, ""))
    assert RepeatingTopNGramsFilter(2).score_document(text) == removed / len(text)
