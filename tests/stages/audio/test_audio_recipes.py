"""Speakers taken apart, and the usual way in one stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import speech, task, write

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import InputError, MissingExtra, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.audio import AudioDataFilterStage, SpeakerSeparationStage
from nemo_curator.stages.audio.segmentation import Diarizer, Turn, clean_turns
from nemo_curator.tasks import AudioTask, NoneTask


class ByTheClock(Diarizer):
    """Says who speaks as it was told to."""

    def __init__(self, *turns: tuple[float, float, str]) -> None:
        self.told = [Turn(*turn) for turn in turns]

    def load(self) -> None: ...

    def turns(self, samples: Any) -> list[Turn]:
        return self.told


CLEANED = {
    "plain": ([(0, 2, "a"), (2, 4, "b")], {}, {"a": [(0, 2)], "b": [(2, 4)]}),
    "joined": ([(0, 1, "a"), (1.05, 2, "a"), (3, 5, "a")], {}, {"a": [(0, 2), (3, 5)]}),
    "short": ([(0, 0.5, "a"), (1, 3, "b")], {}, {"b": [(1, 3)]}),
    "overlap": ([(0, 4, "a"), (3, 8, "b")], {}, {"a": [(0, 2.5)], "b": [(4.5, 8)]}),
    "inside": ([(0, 8, "a"), (3, 4, "b")], {}, {"a": [(0, 2.5), (4.5, 8)]}),
    "overlap-kept": ([(0, 4, "a"), (3, 8, "b")], {"exclude_overlaps": False}, {"a": [(0, 4)], "b": [(3, 8)]}),
    "beyond": ([(-1, 1, "a"), (9, 12, "b"), (11, 12, "c")], {}, {"a": [(0, 1)], "b": [(9, 10)]}),
    "nobody": ([], {}, {}),
}
RULES: dict[str, Any] = {"total": 10.0, "exclude_overlaps": True, "gap": 0.1, "buffer": 0.5, "shortest": 0.8}


@pytest.mark.parametrize("case", CLEANED)
def test_turns_are_cleaned(case: str) -> None:
    turns, options, expected = CLEANED[case]
    assert clean_turns([Turn(*turn) for turn in turns], **{**RULES, **options}) == expected


@given(st.lists(st.builds(Turn, st.floats(-1, 11), st.floats(-1, 11), st.sampled_from("abc")), max_size=12))
def test_nobody_speaks_while_another_does(turns: list[Turn]) -> None:
    spans = sorted(span for own in clean_turns(turns, **RULES).values() for span in own)
    assert all(0 <= start < end <= 10 for start, end in spans)
    assert all(one[1] <= other[0] + 1e-9 for one, other in zip(spans, spans[1:], strict=False))  # noqa: RUF007


def test_every_speaker_is_an_entry_of_the_same_length() -> None:
    waveform, rate = speech(0)
    stage = SpeakerSeparationStage(model=ByTheClock((0, 3, "s0"), (4, 7, "s1")))
    found: Any = stage.process(task("a.wav", waveform=waveform, sample_rate=rate, topic="x"))
    assert [each.data["speaker_id"] for each in found] == ["s0", "s1"]
    one, other = (each.data["waveform"] for each in found)
    np.testing.assert_array_equal(one[:, : 3 * rate], waveform[:, : 3 * rate])
    assert not one[:, 3 * rate :].any()
    assert not (one * other).any()
    told = {key: found[1].data[key] for key in ("num_speakers", "diar_segments", "speaking_duration", "topic")}
    assert told == {"num_speakers": 2, "diar_segments": [[4, 7]], "speaking_duration": 3.0, "topic": "x"}
    assert stage.is_fanout_stage()
    assert SpeakerSeparationStage(model=ByTheClock()).process(task(waveform=waveform, sample_rate=rate)) == NoneTask(
        reason="no_speakers"
    )


def test_without_nemo_the_model_is_missed_before_the_run() -> None:
    with pytest.raises(MissingExtra, match="nemo_toolkit"):
        SpeakerSeparationStage().check_before_run()
    with pytest.raises(OptionError, match="min_duration"):
        SpeakerSeparationStage(min_duration=-1)


ON, OFF = {"enable": True}, {"enable": False}
ONLY = {"band_filter": OFF, "dnsmos": ON}
TOPOLOGIES = {
    "neither": ({"vad": OFF}, ["MonoConversion", "DNSMOSFilter", "TimestampMapper"]),
    "vad": ({}, ["MonoConversion", "VADSegmentation", "DNSMOSFilter", "TimestampMapper"]),
    "speakers": (
        {"vad": OFF, "speaker_separation": ON},
        ["MonoConversion", "DNSMOSFilter", "SpeakerSeparation", "DNSMOSFilter_speaker", "TimestampMapper"],
    ),
    "both": (
        {"speaker_separation": ON},
        [
            *("MonoConversion", "VADSegmentation", "DNSMOSFilter", "SegmentConcatenation", "SpeakerSeparation"),
            *("VADSegmentation_speaker", "DNSMOSFilter_speaker", "TimestampMapper"),
        ],
    ),
}


@pytest.mark.parametrize("case", TOPOLOGIES)
def test_what_is_enabled_says_what_runs(case: str) -> None:
    config, names = TOPOLOGIES[case]
    stages = AudioDataFilterStage(config={**ONLY, **config}).decompose()
    assert [stage.name for stage in stages] == names
    nested = [stage.nested for stage in stages if stage.name == "VADSegmentation"]  # pyright: ignore[reportAttributeAccessIssue]
    assert nested == [case == "both"] * len(nested)


def test_a_file_and_a_dictionary_are_merged_over_the_defaults(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("yaml")
    path = tmp_path / "config.yaml"
    path.write_text("vad:\n  threshold: 0.7\n  min_duration_sec: 1\nutmos:\n  enable: true\nmusic:\n  enable: true\n")
    stage = AudioDataFilterStage(str(path), {"vad": {"threshold": 0.6, "cpus": 2}})
    vad: Any = stage.decompose()[1]
    assert (vad.threshold, vad.min_duration_sec, vad.max_duration_sec, vad.resources.cpus) == (0.6, 1, 60.0, 2)
    utmos: Any = next(each for each in stage.decompose() if each.name == "UTMOSFilter")
    assert utmos.mos_threshold == 3.4
    assert "'music' is not known" in caplog.text
    path.write_text("- a list\n")
    with pytest.raises(OptionError, match="must hold sections"):
        AudioDataFilterStage(str(path))
    path.write_text("a: [")
    with pytest.raises(ValueError, match="is not YAML"):
        AudioDataFilterStage(str(path))
    with pytest.raises(InputError, match="cannot be read"):
        AudioDataFilterStage(str(tmp_path / "no.yaml"))


@pytest.mark.parametrize(
    "config",
    [
        {"vad": {"threshold": 2}},
        {"vad": {"min_duration_sec": 9, "max_duration_sec": 3}},
        {"utmos": {"enable": True, "mos_threshold": 7}},
        {"speaker_separation": {"enable": True, "min_duration": -1}},
        {"mono_conversion": {"output_sample_rate": 16000.5}},
        {"mono_conversion": {"output_sample_rate": 0}},
        {"concatenation": {"silence_duration_sec": float("nan")}},
        {"vad": {"treshold": 0.5}},
        {"vad": 3},
    ],
    ids=str,
)
def test_values_that_cannot_be_are_refused(config: Any) -> None:
    with pytest.raises(OptionError, match="stage "):
        AudioDataFilterStage(config=config)


def test_speakers_and_speech_are_found_and_mapped_back(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    pause = np.zeros((1, 24000), dtype=np.float32)
    talk = np.concatenate([pause, speech(1)[0], pause, speech(4)[0], pause], axis=1)
    path = write(tmp_path / "talk.wav", talk)
    config = {
        "mono_conversion": {"output_sample_rate": 16000},
        "vad": {"min_duration_sec": 1.0},
        "dnsmos": OFF,
        "speaker_separation": {**ON, "model": ByTheClock((0, 3.8, "s0"), (3.8, 8, "s1"))},
    }
    pipeline = Pipeline("all", stages=[AudioDataFilterStage(config=config)])
    found: list[AudioTask] = (
        pipeline.run(LocalExecutor(mode="inline", preserve_order=True), initial_tasks=[task(path)]) or []
    )
    assert [each.data["speaker_id"] for each in found] == ["s0", "s1"]
    assert [each.data["original_start_ms"] for each in found] == pytest.approx([1500, 1500 + 2990 + 1500], abs=400)
    assert {each.data["original_file"] for each in found} == {path}
