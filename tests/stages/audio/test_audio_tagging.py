"""Steps around taggers of long recordings."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import soundfile, task, tone, write

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.audio.tagging import (
    JoinSplitAudioMetadataStage,
    MergeAlignmentDiarizationStage,
    ResampleAudioStage,
    SplitLongAudioStage,
    add_non_speaker_segments,
)
from nemo_curator.stages.audio.tagging.split import cut_points
from nemo_curator.tasks import AudioTask, NoneTask


def _span(start: float, end: float, **more: Any) -> dict[str, Any]:
    return {"start": start, "end": end, **more}


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg"])
def test_recordings_are_written_anew_once(tmp_path: Path, extension: str) -> None:
    path = write(tmp_path / "talk.wav", tone(1.0, 48000, channels=2), 48000)
    stage = ResampleAudioStage(str(tmp_path / "out"), target_format=extension)
    data: Any = stage.process(task(path)).data  # pyright: ignore[reportOptionalMemberAccess]
    made = Path(data["resampled_audio_filepath"])
    assert made.name == f"{data['audio_item_id']}.{extension}"
    assert data["audio_item_id"].startswith("talk_")
    assert data["duration"] == pytest.approx(1.0, abs=0.01)
    info = soundfile.info(str(made))
    assert (info.samplerate, info.channels, info.frames) == (16000, 1, 16000)
    os.utime(made, (1, 1))
    assert stage.process(task(path)).data["duration"] == data["duration"]  # pyright: ignore[reportOptionalMemberAccess]
    assert made.stat().st_mtime == 1
    made.write_text("not what it was")
    stage.process(task(path))
    assert soundfile.info(str(made)).frames == 16000


def test_recordings_that_cannot_be_resampled_are_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "mono.wav", tone())
    assert ResampleAudioStage(str(tmp_path), target_nchannels=2).process(task(path)) == NoneTask(reason="channels")
    assert ResampleAudioStage(str(tmp_path)).process(task(tmp_path / "gone.wav")) == NoneTask(reason="missing")
    for options in ({"target_format": "mp3"}, {"target_sample_rate": 0}, {"resampled_audio_dir": ""}):
        with pytest.raises(OptionError, match="stage "):
            ResampleAudioStage(**{"resampled_audio_dir": "x", **options})


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([(0, 4), (4, 9), (9, 15), (15, 24)], [9, 15]),
        ([(0, 9), (8, 11), (11, 24)], [9, 11]),  # the one end in time is in the middle of another
        ([(0, 8), (7, 9), (9, 24)], [9]),  # of two in time, the one where nobody speaks
        ([(0, 24)], []),
        ([], []),
        ([(0, 0.5), (1, 23.5)], []),  # what would be left is too short
    ],
)
def test_cuts_are_at_ends_of_segments(segments: list[tuple[float, float]], expected: list[float]) -> None:
    assert cut_points([_span(*each) for each in segments], 24, 10, 1) == expected


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0, 20)).map(lambda each: _span(each[0], each[0] + each[1])), max_size=20
    ),
    st.floats(0.1, 100),
)
def test_parts_are_in_order_and_long_enough(segments: list[dict[str, Any]], total: float) -> None:
    edges = [0.0, *cut_points(segments, total, 10, 1), total]
    assert all(end - start >= 1 - 1e-9 for start, end in pairwise(edges)) or len(edges) == 2
    assert set(edges[1:-1]) <= {each["end"] for each in segments}


def test_long_recordings_are_split_and_joined(tmp_path: Path) -> None:
    ramp = (np.arange(4000) / 4000)[np.newaxis, :]
    path = write(tmp_path / "long.wav", ramp, 1000)
    stage = SplitLongAudioStage(suggested_max_len=2, min_len=0.5)
    data = stage.process(task(path, segments=[_span(0, 1.5), _span(1.5, 3), _span(3, 4)])).data  # pyright: ignore[reportOptionalMemberAccess]
    assert data["split_offsets"] == [0.0, 1.5, 3.0]
    assert data["split_timestamps"] == [[0.0, 1.5], [1.5, 3.0], [3.0, 4.0]]
    assert [Path(part).name for part in data["split_filepaths"]] == [f"long_split_00{n}.wav" for n in range(3)]
    joined = np.concatenate([soundfile.read(part)[0] for part in data["split_filepaths"]])
    np.testing.assert_allclose(joined, ramp[0], atol=1e-4)
    for number, part in enumerate(data["split_metadata"]):
        part.update(text=f" part {number}" if number else "", alignment=[{"word": "w", "start": 0.1, "end": 0.2}])
    found = JoinSplitAudioMetadataStage().process(AudioTask(data=data)).data
    assert found["text"] == "part 1 part 2"
    assert [word["start"] for word in found["alignment"]] == pytest.approx([0.1, 1.6, 3.1])
    assert not {"split_filepaths", "split_metadata"} & set(found)


def test_what_is_short_enough_stays_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "short.wav", tone())
    data = SplitLongAudioStage().process(task(resampled_audio_filepath=path, segments=[])).data  # pyright: ignore[reportOptionalMemberAccess]
    assert (data["split_filepaths"], data["split_offsets"]) == ([path], [0.0])
    assert SplitLongAudioStage().process(task("/no/such.wav", segments=[])) == NoneTask(reason="missing")
    with pytest.raises(OptionError, match="min_len"):
        SplitLongAudioStage(1, 2)
    assert JoinSplitAudioMetadataStage().process(task(text="as it is")).data == {"text": "as it is"}
    with pytest.raises(DataError, match="1 parts and 0 split_offsets"):
        JoinSplitAudioMetadataStage().process(task(split_metadata=[{}]))


def test_words_go_to_the_segment_they_lie_in(caplog: pytest.LogCaptureFixture) -> None:
    words = [
        ("late", 8.0, 8.5),
        ("one", 0.0, 0.5),
        ("both", 0.8, 1.0),
        ("edge", 1.8, 2.3),
        ("dot", 2.5, 2.5),
        ("gap", 4.0, 5.0),
    ]
    entry = task(
        alignment=[{"word": word, "start": start, "end": end} for word, start, end in words],
        segments=[_span(0, 2, speaker="a"), _span(0.9, 3, speaker="b"), _span(8.2, 9, speaker="c")],
    )
    found = MergeAlignmentDiarizationStage().process(entry).data["segments"]
    assert [(each["speaker"], each["text"]) for each in found] == [("a", "one both"), ("b", "edge dot"), ("c", "late")]
    assert "1 words" in caplog.text


def test_silences_become_segments() -> None:
    found = add_non_speaker_segments([_span(5, 6, speaker="b"), _span(1, 4, speaker="a"), _span(2, 3, speaker="c")], 8)
    assert [(each["speaker"], each["start"], each["end"]) for each in found] == [
        ("no-speaker", 0.0, 1), ("a", 1, 4), ("c", 2, 3), ("no-speaker", 4, 5), ("b", 5, 6), ("no-speaker", 6, 8),
    ]  # fmt: skip
    assert add_non_speaker_segments([], 2) == [{"speaker": "no-speaker", "start": 0.0, "end": 2}]
