"""Waveforms cut into segments, put together again, and traced back to where they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import SPEECH, speech, task, tone, write

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.audio.postprocessing import TimestampMapperStage
from nemo_curator.stages.audio.preprocessing import MonoConversionStage, SegmentConcatenationStage
from nemo_curator.stages.audio.segmentation import RegionRules, SileroVad, VADSegmentationStage, speech_regions
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks import AudioTask, NoneTask


def _data(result: object) -> Any:
    assert isinstance(result, AudioTask)
    return result.data


def _only(results: object) -> list[Any]:
    assert isinstance(results, list)
    return [_data(each) for each in results]


def test_files_become_waveforms_of_one_channel(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(2.0, 48000, channels=2), 48000, subtype="FLOAT")
    data = _data(MonoConversionStage().process(task(path)))
    np.testing.assert_allclose(data["waveform"], tone(2.0, 48000) / 2, atol=1e-6)
    told = {key: data[key] for key in ("sample_rate", "is_mono", "duration", "num_samples")}
    assert told == {"sample_rate": 48000, "is_mono": True, "duration": 2.0, "num_samples": 96000}


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 96000])
def test_other_rates_are_resampled_or_refused(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "a.wav", tone(1.0, rate, hertz=1000), rate, subtype="FLOAT")
    assert MonoConversionStage(16000).process(task(path)) == NoneTask(reason="sample_rate")
    data = _data(MonoConversionStage(16000, strict_sample_rate=False).process(task(path)))
    # Away from the ends, where the filter has nothing to look at.
    np.testing.assert_allclose(data["waveform"][0, 1000:15000], tone(1.0, hertz=1000)[0, 1000:15000], atol=0.01)


def test_resampling_lets_nothing_fold_back(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(1.0, 48000, hertz=15000), 48000, subtype="FLOAT")
    data = _data(MonoConversionStage(16000, strict_sample_rate=False).process(task(path)))
    assert np.abs(data["waveform"][0, 1000:15000]).max() < 0.005


def test_files_that_cannot_be_used_are_dropped_with_their_reason(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound at all")
    good = write(tmp_path / "good.wav", tone(1.0, 48000), 48000)
    paths = [tmp_path / "gone.wav", tmp_path / "text.wav", good, SPEECH[0]]
    pipeline = Pipeline("mono", stages=[MonoConversionStage()])
    found = pipeline.run(LocalExecutor(mode="inline", strict=True), initial_tasks=[task(path) for path in paths])
    assert [each.data["audio_filepath"] for each in found or []] == [good]
    assert pipeline.last_report is not None
    assert pipeline.last_report.stage("MonoConversion").tasks_dropped == {
        "missing": 1,
        "unreadable": 1,
        "sample_rate": 1,
    }


RULES = RegionRules(threshold=0.5, min_gap=3, min_length=4, max_length=20, pad=2)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("......", []),
        ("..####..", [(0, 8)]),
        ("...###....", []),  # too short
        (".....####..####.....", [(3, 17)]),  # a short pause
        (".....####...####....", [(3, 10.5), (10.5, 18)]),  # the room between is shared
        (".....##++++####.....", [(3, 17)]),  # below the threshold, and still speech
        (".....++++++++++.....", []),  # never above it
        ("####" * 3, [(0, 12)]),
    ],
)
def test_regions_of_speech(shape: str, expected: list[tuple[float, float]]) -> None:
    probabilities = np.array([{".": 0.1, "+": 0.4, "#": 0.9}[sign] for sign in shape])
    assert speech_regions(probabilities, len(shape), RULES) == expected


def test_long_speech_is_parted_where_it_is_least_likely() -> None:
    probabilities = np.full(50, 0.9)
    probabilities[[13, 31]] = 0.6
    assert speech_regions(probabilities, 50, RULES) == [(0, 13), (13, 31), (31, 50)]


@given(
    st.lists(st.floats(0, 1), max_size=200).map(np.array),
    st.floats(0.05, 1),
    st.floats(0, 20),
    st.floats(0, 10),
    st.floats(0, 10),
    st.floats(1, 30),
    st.floats(0, 0.99),
)
def test_regions_are_sorted_and_within_bounds(
    probabilities: Any, threshold: float, gap: float, pad: float, shortest: float, more: float, missing: float
) -> None:
    total = max(0.0, len(probabilities) - missing)
    rules = RegionRules(threshold, gap, shortest, shortest + more, pad)
    regions = speech_regions(probabilities, total, rules)
    edges = [edge for region in regions for edge in region]
    assert edges == sorted(edges)
    assert all(0 <= start < end <= total and end - start <= rules.max_length + 1e-9 for start, end in regions)


def _conversation() -> tuple[Any, list[tuple[float, float]]]:
    """All recordings with two seconds of silence around each, and where they are, in seconds."""
    silence = np.zeros((1, 32000), dtype=np.float32)
    parts, places, at = [silence], [], 2.0
    for number in range(len(SPEECH)):
        waveform, rate = speech(number)
        parts += [waveform, silence]
        places.append((at, at + waveform.shape[1] / rate))
        at = places[-1][1] + 2.0
    return np.concatenate(parts, axis=1), places


@pytest.fixture(scope="module")
def _vad() -> None:
    pytest.importorskip("faster_whisper")
    pytest.importorskip("onnxruntime")


@pytest.mark.usefixtures("_vad")
@pytest.mark.parametrize("rate", [16000, 48000])
def test_speech_is_found_where_it_is(rate: int) -> None:
    waveform, places = _conversation()
    entry = task(
        "talk.wav", waveform=np.repeat(waveform, rate // 16000, axis=1), sample_rate=rate, topic="austen", duration=1
    )
    found = _only(VADSegmentationStage(min_duration_sec=0.5).process(entry))
    assert len(found) == 5
    for number, (segment, (start, end)) in enumerate(zip(found, places, strict=True)):
        # Recordings have some silence of their own, and segments 0.3 s of padding.
        assert segment["start_ms"] / 1000 == pytest.approx(start, abs=0.35)
        assert segment["end_ms"] / 1000 == pytest.approx(end, abs=0.35)
        assert segment["waveform"].shape[1] == pytest.approx(segment["duration"] * rate, abs=1)
        told = {key: segment[key] for key in ("segment_num", "original_file", "topic", "sample_rate")}
        assert told == {"segment_num": number, "original_file": "talk.wav", "topic": "austen", "sample_rate": rate}


@pytest.mark.usefixtures("_vad")
def test_nested_segments_stay_in_one_entry_and_find_their_way_back() -> None:
    waveform, _ = _conversation()
    nested = VADSegmentationStage(min_duration_sec=0.5, nested=True)
    assert not nested.is_fanout_stage()
    assert VADSegmentationStage().is_fanout_stage()
    entry = nested.process(task("talk.wav", waveform=waveform, sample_rate=16000))
    segments = _data(entry)["segments"]
    assert "waveform" not in _data(entry)
    joined = SegmentConcatenationStage(silence_duration_sec=1.0).process(entry)  # pyright: ignore[reportArgumentType]
    data = _data(joined)
    assert data["num_segments"] == 5
    assert data["total_duration_sec"] == pytest.approx(sum(each["duration"] for each in segments) + 4.0, abs=0.01)
    # Cut anew, every piece is traced to where it was.
    pieces = VADSegmentationStage(min_duration_sec=0.5, min_interval_ms=900).process(joined)  # pyright: ignore[reportArgumentType]
    assert isinstance(pieces, list)
    for piece, segment in zip(pieces, segments, strict=True):
        piece._metadata = joined._metadata  # what the engine does
        back = _data(TimestampMapperStage().process(piece))
        assert back["original_start_ms"] == pytest.approx(segment["start_ms"], abs=120)
        assert back["original_end_ms"] == pytest.approx(segment["end_ms"], abs=120)
        assert back["original_file"] == "talk.wav"


@pytest.mark.usefixtures("_vad")
def test_silence_has_no_speech() -> None:
    quiet = {"waveform": np.zeros((1, 48000), dtype=np.float32), "sample_rate": 16000}
    assert VADSegmentationStage().process(task(**quiet)) == NoneTask(reason="no_speech")
    assert _data(VADSegmentationStage(nested=True).process(task(**quiet)))["segments"] == []
    assert VADSegmentationStage().process(task(waveform=np.full((1, 9), np.nan), sample_rate=16000)) == NoneTask(
        reason="not_finite"
    )


@pytest.mark.usefixtures("_vad")
@pytest.mark.parametrize("seconds", [0.0005, 0.02, 0.1])
def test_the_shortest_sounds_are_heard_too(seconds: float) -> None:
    entry = task(waveform=tone(seconds, 8000), sample_rate=8000)
    assert VADSegmentationStage().process(entry) == NoneTask(reason="no_speech")


@pytest.mark.usefixtures("_vad")
def test_memory_does_not_matter_to_what_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    waveform, _ = _conversation()
    model = SileroVad()
    whole = model.probabilities(waveform[0])
    monkeypatch.setattr("nemo_curator.stages.audio.segmentation.silero._FRAMES_AT_ONCE", 100)
    np.testing.assert_allclose(model.probabilities(waveform[0]), whole, atol=1e-5)


@pytest.mark.usefixtures("_vad")
def test_a_wrong_detector_is_found_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no Silero VAD at"):
        VADSegmentationStage(model=SileroVad(str(tmp_path / "no.onnx"))).check_before_run()
    (tmp_path / "bad.onnx").write_text("no graph")
    with pytest.raises(DataError, match="not a graph"):
        SileroVad(str(tmp_path / "bad.onnx")).load()
    with pytest.raises(RuntimeError, match="no CUDA"):
        VADSegmentationStage().with_(resources=Resources(gpus=1)).setup()


@pytest.mark.parametrize(
    "make",
    [
        lambda: VADSegmentationStage(min_duration_sec=5, max_duration_sec=5),
        lambda: VADSegmentationStage(threshold=0),
        lambda: VADSegmentationStage(threshold=1.5),
        lambda: VADSegmentationStage(min_interval_ms=-1),
        lambda: SegmentConcatenationStage(-0.1),
        lambda: MonoConversionStage(0),
    ],
    ids=["durations", "threshold-0", "threshold-1.5", "interval", "silence", "rate"],
)
def test_options_are_checked_where_they_are_written(make: Any) -> None:
    with pytest.raises(OptionError, match="stage "):
        make()


def test_segments_that_cannot_be_joined_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    segments = [
        {"segment_num": 2, "start_ms": 5000, "end_ms": 6000, "waveform": tone(1.0), "sample_rate": 16000},
        {"segment_num": 1, "waveform": tone(1.0), "sample_rate": 8000},
        {"segment_num": 0, "start_ms": 100, "end_ms": 600, "waveform": tone(0.5), "sample_rate": 16000},
        {"segment_num": 3, "sample_rate": 16000},
        {"segment_num": 4, "waveform": tone(1.0, channels=2), "sample_rate": 16000},
        {"segment_num": 5, "waveform": tone(1.0), "sample_rate": None},
    ]
    joined = SegmentConcatenationStage().process(task("a.wav", segments=segments, other=1))
    data = _data(joined)
    assert sorted(data) == ["num_segments", "original_file", "sample_rate", "total_duration_sec", "waveform"]
    assert (data["num_segments"], data["total_duration_sec"], data["original_file"]) == (2, 2.0, "a.wav")
    assert np.abs(data["waveform"][0, 8000:16000]).max() == 0
    assert joined._metadata == {
        "segment_mappings": [
            {"original_file": "a.wav", "original_start_ms": 100, "original_end_ms": 600, "concat_start_ms": 0, "concat_end_ms": 500, "segment_index": 0},
            {"original_file": "a.wav", "original_start_ms": 5000, "original_end_ms": 6000, "concat_start_ms": 1000, "concat_end_ms": 2000, "segment_index": 1},
        ]
    }  # fmt: skip
    assert caplog.text.count("left out") == 4


def test_joining_needs_segments() -> None:
    assert SegmentConcatenationStage().process(task(segments=[])) == NoneTask(reason="no_segments")
    with pytest.raises(ValueError, match="no list 'segments'"):
        SegmentConcatenationStage().process(task("a.wav"))


MAPPINGS = [
    {
        "original_file": "a.wav",
        "original_start_ms": 100,
        "original_end_ms": 600,
        "concat_start_ms": 0,
        "concat_end_ms": 500,
    },
    {
        "original_file": "b.wav",
        "original_start_ms": 5000,
        "original_end_ms": 6000,
        "concat_start_ms": 1000,
        "concat_end_ms": 2000,
    },
]


@pytest.mark.parametrize(
    ("data", "mappings", "file", "start", "end"),
    [
        ({"start_ms": 1100, "end_ms": 1500}, MAPPINGS, "b.wav", 5100, 5500),
        ({"start_ms": 600, "end_ms": 2100}, MAPPINGS, "b.wav", 5000, 6000),
        ({"start_ms": 7, "end_ms": 9}, [], "x.wav", 7, 9),
        ({"start_ms": 9, "end_ms": 9, "duration": 2.5}, [], "x.wav", 0, 2500),
        ({"diar_segments": [[1.23456, 2.0], (4, 5.5)], "duration": 9}, [], "x.wav", 1235, 5500),
        ({"duration": 2.5}, MAPPINGS, "x.wav", 0, 2500),
        ({}, [], "x.wav", 0, 0),
    ],
    ids=["in-a-segment", "over-silence", "plain", "no-range", "turns", "duration", "nothing"],
)
def test_times_are_mapped(data: dict[str, Any], mappings: list[Any], file: str, start: int, end: int) -> None:
    entry = AudioTask(data={"audio_filepath": "x.wav", **data}, _metadata={"segment_mappings": mappings})
    found = _data(TimestampMapperStage().process(entry))
    assert (found["original_file"], found["original_start_ms"], found["original_end_ms"]) == (file, start, end)
    assert (found["duration_ms"], found["duration"]) == (end - start, (end - start) / 1000)
    if "diar_segments" in data:
        assert (found["diar_segments"], found["speaking_duration"]) == ([[1.235, 2.0], [4.0, 5.5]], 2.265)


@pytest.mark.parametrize(("start", "end", "reason"), [(400, 1100, "across_segments"), (500, 1000, "outside_segments")])
def test_a_range_must_lie_in_one_segment(start: int, end: int, reason: str) -> None:
    entry = AudioTask(data={"start_ms": start, "end_ms": end}, _metadata={"segment_mappings": MAPPINGS})
    assert TimestampMapperStage().process(entry) == NoneTask(reason=reason)


def test_only_what_is_asked_for_passes() -> None:
    entry = task(
        "x.wav",
        duration=1.0,
        speaker_id="s1",
        utmos_mos=None,
        waveform=tone(),
        text="hi",
        segments=[1],
        sample_rate=8000,
    )
    assert set(_data(TimestampMapperStage().process(entry))) >= {"speaker_id", "sample_rate"}
    assert not set(_data(TimestampMapperStage().process(entry))) & {"utmos_mos", "waveform", "text", "segments"}
    found = _data(TimestampMapperStage(passthrough_keys=["text", "waveform", "segments"]).process(entry))
    assert found["text"] == "hi"
    assert not set(found) & {"speaker_id", "waveform", "segments"}


@pytest.mark.usefixtures("_vad")
@pytest.mark.parametrize("mode", ["inline", "threads", "processes"])
def test_the_way_back_survives_the_engine(tmp_path: Path, mode: str) -> None:
    waveform, places = _conversation()
    path = write(tmp_path / "talk.wav", waveform)
    stages: list[ProcessingStage[Any, Any]] = [
        MonoConversionStage(16000),
        VADSegmentationStage(min_duration_sec=0.5, nested=True, name="first"),
        SegmentConcatenationStage(1.0),
        VADSegmentationStage(min_duration_sec=0.5, min_interval_ms=900, name="second"),
        TimestampMapperStage(),
    ]
    found = Pipeline("back", stages=stages).run(
        LocalExecutor(mode=mode, cpus=2, num_workers=2), initial_tasks=[task(path)]
    )
    starts = sorted(each.data["original_start_ms"] / 1000 for each in found or [])
    assert starts == pytest.approx([start for start, _ in places], abs=0.4)
