"""Windows of conversation."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.audio.alm import ALMDataBuilderStage, ALMDataOverlapStage
from nemo_curator.stages.audio.alm.windows import LOSSES, WindowRules, best_windows, build_windows, span_of
from nemo_curator.tasks import AudioTask


def _segment(start: float, end: float, speaker: str = "a", bandwidth: float = 8000, **more: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "speaker": speaker, "metrics": {"bandwidth": bandwidth}, **more}


def _built(segments: list[dict[str, Any]], **options: Any) -> Any:
    stage = ALMDataBuilderStage(**{"target_window_duration": 10, "tolerance": 0.2, **options})
    entry = {"audio_filepath": "a.wav", "segments": segments, "audio_sample_rate": 16000, "words": [1], "topic": "x"}
    return stage.process(AudioTask(data=entry)).data


def _spans(data: Any) -> list[tuple[float, float]]:
    return [span_of(window) for window in data["windows"]]


def test_windows_begin_wherever_they_can() -> None:
    data = _built([_segment(0, 4), _segment(4, 9, "b"), _segment(10, 14), _segment(14, 19, "b")])
    assert _spans(data) == [(0, 9), (4, 14), (10, 19)]
    assert data["windows"][0]["speaker_durations"] == [5, 4, 0, 0, 0]
    assert (data["topic"], data["truncation_events"]) == ("x", 0)
    assert not {"segments", "words"} & set(data)
    told = {key: value for key, value in data["stats"].items() if value}
    assert told == {"total_segments": 4, "total_dur": 18, "lost_win": 1, "dur_lost_win": 5}


WORDS = [
    {"word": "one", "start": 8, "end": 10},
    {"word": "two", "start": 10, "end": 11.5},
    {"word": "three", "start": 11.5, "end": 14},
]
LOST = {
    "one-speaker": ([_segment(0, 5), _segment(5, 10)], {}, "spk"),
    "too-many": ([_segment(0, 3), _segment(3, 6, "b"), _segment(6, 9, "c")], {"max_speakers": 2}, "spk"),
    "nobody": ([_segment(0, 5), _segment(5, 10, "no-speaker")], {}, "no_spkr"),
    "one-segment": ([_segment(0, 10)], {}, "win"),
    "short": ([_segment(0, 3), _segment(3, 6, "b")], {}, "win"),
    "bandwidth": ([_segment(0, 5, bandwidth=4000), _segment(5, 10, "b")], {}, "bw"),
    "bandwidth-of-the-next": ([_segment(0, 5), _segment(5, 10, "b", bandwidth=4000)], {}, "next_seg_bw"),
    "no-metrics": ([{"start": 0, "end": 5, "speaker": "a"}, _segment(5, 10, "b")], {}, "bw"),
    "sample-rate": ([_segment(0, 5), _segment(5, 10, "b")], {"min_sample_rate": 22050}, "sr"),
    "no-words-to-cut-at": ([_segment(0, 7), _segment(7, 14, "b")], {}, "win"),
}


@pytest.mark.parametrize("case", LOST)
def test_what_cannot_begin_a_window_is_counted_by_reason(case: str) -> None:
    segments, options, reason = LOST[case]
    data = _built(segments, **options)
    assert data["windows"] == []
    assert data["stats"][f"lost_{reason}"] >= 1
    assert data["stats"][f"dur_lost_{reason}"] > 0
    assert sum(data["stats"][f"lost_{each}"] for each in LOSSES) == len(segments)


def test_the_last_segment_is_cut_after_a_word() -> None:
    segments = [_segment(0, 8), _segment(8, 14, "b", words=WORDS, text="one two three")]
    data = _built(segments, drop_fields="metrics")
    assert _spans(data) == [(0, 11.5)]
    assert data["truncation_events"] == 1
    last = data["windows"][0]["segments"][-1]
    assert (last["text"], len(last["words"]), "metrics" in last) == ("one two", 2, False)
    assert segments[1]["end"] == 14
    assert "words" not in _built(segments)["windows"][0]["segments"][-1]
    # Uncut, the first segment alone is no window.
    assert _built(segments, truncation=False)["windows"] == []


@given(
    st.lists(
        st.tuples(st.floats(0, 60), st.floats(0, 10), st.sampled_from("abc"), st.sampled_from([4000, 8000])).map(
            lambda each: _segment(each[0], each[0] + each[1], each[2], each[3])
        ),
        max_size=25,
    ),
    st.booleans(),
)
def test_every_window_keeps_the_rules(segments: list[dict[str, Any]], truncation: bool) -> None:
    rules = WindowRules(10, 0.3, 8000, 2, 2, truncation)
    built = build_windows(segments, rules)
    assert len(built.windows) + sum(built.stats[f"lost_{each}"] for each in LOSSES) == len(segments)
    for window in built.windows:
        start, end = span_of(window)
        assert 7 <= end - start <= 13
        assert len({each["speaker"] for each in window["segments"]}) == 2
        assert all(each["metrics"]["bandwidth"] >= 8000 for each in window["segments"])
    left = best_windows(built.windows, 0, 10)
    spans = sorted(map(span_of, left))
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert bool(left) == bool(built.windows)


def _windows(*spans: tuple[float, float]) -> list[dict[str, Any]]:
    return [{"segments": [_segment(start, end)]} for start, end in spans]


@pytest.mark.parametrize(
    ("spans", "percentage", "expected"),
    [
        ([(0, 10), (9, 19)], 0, [(0, 10)]),
        ([(0, 10), (10, 20)], 0, [(0, 10), (10, 20)]),
        ([(0, 10), (9, 19)], 50, [(0, 10), (9, 19)]),
        ([(0, 8), (3, 13)], 50, [(3, 13)]),
        ([(0, 8), (3, 15)], 50, [(3, 15)]),  # both as far from 10: the longer one stays
        ([(0, 10), (5, 15), (10, 20)], 10, [(0, 10), (10, 20)]),
        ([(0, 10), (0, 10)], 100, [(0, 10)]),
    ],
)
def test_windows_that_overlap_do_not_both_stay(spans: Any, percentage: float, expected: Any) -> None:
    stage = ALMDataOverlapStage(percentage, target_duration=10)
    data = stage.process(AudioTask(data={"windows": _windows(*spans)})).data
    assert [span_of(window) for window in data["filtered_windows"]] == expected
    assert data["filtered"] == [list(span) for span in expected]
    assert data["filtered_dur"] == sum(data["filtered_dur_list"]) == sum(end - start for start, end in expected)
    assert data["total_dur_window"] == sum(end - start for start, end in spans)
    assert (data["manifest_filepath"], data["swift_filepath"]) == ("", "")


def test_bad_segments_and_options_are_said() -> None:
    for segments in ([{"start": 3, "end": 1}], [{"start": 0}], [{"start": "0", "end": 1}]):
        with pytest.raises(DataError, match="segment 0 has no times"):
            _built(segments)
    with pytest.raises(DataError, match="list of segments"):
        _built("none")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="no segments"):
        ALMDataOverlapStage().process(AudioTask(data={"windows": [{"segments": []}]}))
    for make in (
        lambda: ALMDataOverlapStage(101),
        lambda: ALMDataOverlapStage(-1),
        lambda: ALMDataOverlapStage(target_duration=0),
        lambda: ALMDataBuilderStage(target_window_duration=0),
        lambda: ALMDataBuilderStage(tolerance=2),
        lambda: ALMDataBuilderStage(min_speakers=6),
    ):
        with pytest.raises(OptionError, match="stage "):
            make()
