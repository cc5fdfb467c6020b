"""Utterances to train with."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.audio.tagging import PrepareModuleSegmentsStage
from nemo_curator.stages.audio.tagging.prepare import SpokenWord, UtteranceRules, cut_utterances
from nemo_curator.tasks import AudioTask, NoneTask


def _said(text: str, start: float = 0.0, speaker: str = "a", **more: Any) -> dict[str, Any]:
    """A segment in which every word takes a second; a number among the words is a pause of so many seconds."""
    words: list[dict[str, Any]] = []
    at = start
    for token in text.split():
        if token[0].isdigit():
            at += float(token)
        else:
            words.append({"word": token, "start": at, "end": at + 1})
            at += 1
    return {"speaker": speaker, "start": start, "end": at, "words": words, **more}


def _prepared(*segments: dict[str, Any], **options: Any) -> Any:
    stage = PrepareModuleSegmentsStage(**{"min_duration": 2, "max_duration": 5, "max_pause": 1.5, **options})
    result = stage.process(AudioTask(data={"audio_filepath": "a.wav", "segments": list(segments)}))
    found = result if isinstance(result, NoneTask) else [each["text"] for each in result.data["segments"]]  # pyright: ignore[reportOptionalMemberAccess]
    return found, stage._consume_drops()


CASES = {
    "ends with sentences": ([_said("a b c. d e f g. h i.")], {}, ["a b c.", "d e f g.", "h i."], {}),
    "takes several sentences": ([_said("a b. c d. e f.")], {}, ["a b. c d.", "e f."], {}),
    "longest pause otherwise": ([_said("a b c 0.5 d e f g h")], {}, ["a b c", "d e f g h"], {}),
    "long pauses part": ([_said("a b 2 c d")], {}, ["a b", "c d"], {}),
    "what is short goes": ([_said("a b. 2 c")], {}, ["a b."], {"segment_short": 1}),
    "quotes close": ([_said("a b 'c.' d e f g.")], {}, ["a b 'c.'", "d e f g."], {}),
    "other scripts": ([_said("甲 乙 丙。 丁 戊 己。")], {}, ["甲 乙 丙。", "丁 戊 己。"], {}),
    "speakers part": ([_said("a b c"), _said("d e", 3, "b")], {}, ["a b c", "d e"], {}),
    "speakers do not matter": ([_said("a b c"), _said("d e", 3, "b")], {"module": "asr"}, ["a b c d e"], {}),
    "one speaker's turns join": ([_said("a b"), _said("c d", 2)], {}, ["a b c d"], {}),
    "sentences only": (
        [_said("a b c d e f g. h i. j k")],
        {"punctuation_split_only": True},
        ["h i."],
        {"segment_long": 1, "segment_unfinished": 1},
    ),
    "words that take too long": ([{"words": [{"word": "oh", "start": 0, "end": 9}]}, _said("a b.", 9)], {}, ["a b."], {"segment_long": 1}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_utterances_are_cut(case: str) -> None:
    segments, options, expected, lost = CASES[case]
    assert _prepared(*segments, **options) == (expected, lost)


def test_what_a_segment_holds_stays_with_its_first_word() -> None:
    stage = PrepareModuleSegmentsStage("asr", 1, 10)
    first, second = _said("a b", metrics={"bandwidth": 8000}), _said("c d.", 2, "b", metrics={"bandwidth": 1})
    data = stage.process(AudioTask(data={"segments": [second, first], "language": "en"})).data  # pyright: ignore[reportOptionalMemberAccess]
    words = [*first["words"], *second["words"]]
    assert data == {
        "language": "en",
        "segments": [
            {
                "speaker": "a",
                "start": 0.0,
                "end": 4.0,
                "words": words,
                "text": "a b c d.",
                "metrics": {"bandwidth": 8000},
            }
        ],
    }
    assert _prepared({"speaker": "a", "start": 0, "end": 5}) == (NoneTask(reason="no_utterances"), {})


def test_chance_is_seeded_with_the_path() -> None:
    talk = _said(" ".join("abcdefghijkl" * 20) + ".")
    stage = PrepareModuleSegmentsStage("asr", 2, 8, full_utterance_ratio=0)

    def cut(path: str) -> list[float]:
        task = stage.process(AudioTask(data={"audio_filepath": path, "segments": [talk]}))
        return [each["end"] - each["start"] for each in task.data["segments"]]  # pyright: ignore[reportOptionalMemberAccess]

    assert cut("a.wav") == cut("a.wav") != cut("b.wav")
    assert set(cut("a.wav")) == {2, 3, 4, 5, 6, 7, 8}


@given(
    st.lists(st.tuples(st.floats(0, 3), st.floats(0.05, 2), st.sampled_from("ab"), st.booleans()), max_size=40),
    st.floats(0, 1),
    st.booleans(),
    st.booleans(),
    st.integers(),
)
def test_utterances_keep_the_rules(spoken: Any, ratio: float, one_speaker: bool, only: bool, seed: int) -> None:
    words: list[SpokenWord] = []
    at = 0.0
    for number, (pause, length, speaker, ends) in enumerate(spoken):
        at += pause
        words.append(SpokenWord(f"w{number}" + "." * ends, at, at + length, 0, speaker))
        at += length
    rules = UtteranceRules(1, 4, 1, one_speaker, ratio, only)
    found, lost = cut_utterances(words, rules, Random(seed))
    assert sum(map(len, found)) <= len(words)
    assert bool(words) == bool(found or lost)
    for piece in found:
        assert 1 <= piece[-1].end - piece[0].start <= 4
        assert all(after.start - before.end <= 1 for before, after in pairwise(piece))
        assert len({word.speaker for word in piece}) == 1 or not one_speaker
        assert piece[-1].text.endswith(".") or not only
    together = [word for piece in found for word in piece]
    assert together == sorted(together, key=words.index)


def test_bad_words_and_options_are_said() -> None:
    for word in ({"word": "a"}, {"word": "a", "start": "x", "end": 1}, "a"):
        with pytest.raises(DataError, match="a word in segment 0 of task"):
            _prepared({"words": [word]})
    for options in (
        {"module": "sing"},
        {"min_duration": 5},
        {"max_pause": -1},
        {"full_utterance_ratio": 2},
        {"terminal_punct_marks": ""},
    ):
        with pytest.raises(OptionError, match="stage 'prepare_module_segments'"):
            _prepared(_said("a"), **options)
