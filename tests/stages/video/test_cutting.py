from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("av")

from nemo_curator.errors import OptionError
from nemo_curator.stages.video.clipping import (
    ClipTranscodingStage,
    FixedStrideExtractorStage,
    SceneDetectClipExtractionStage,
    TransNetV2ClipExtractionStage,
    VideoChunkingStage,
    VideoFrameExtractionStage,
)
from nemo_curator.stages.video.clipping.encoders import EncoderSettings, EncoderUnavailable
from nemo_curator.stages.video.clipping.scene_detection import find_cuts
from nemo_curator.stages.video.clipping.spans import SceneRules, clips_of, fixed_stride_spans, scenes_between
from nemo_curator.stages.video.clipping.transcode import cut_clips
from nemo_curator.stages.video.clipping.transnetv2_extraction import _windows, shots_of
from nemo_curator.tasks.video import Video, VideoTask
from nemo_curator.utils.decoder_utils import extract_video_metadata
from nemo_curator.utils.video_files import VideoLimits
from tests.stages.video.media import colour, decode_all, make_video, number_of, real_clip

CUTS_OF_BIKES = [30, 76, 137, 187, 242]


def task_of(source: bytes | Path, name: str = "a.mp4") -> VideoTask:
    video = Video(name, source_bytes=source) if isinstance(source, bytes) else Video(source)
    video.populate_metadata()
    return VideoTask(dataset_name="test", data=video)


def spans_of(task: VideoTask) -> list[tuple[float, float]]:
    return [(round(clip.span[0], 3), round(clip.span[1], 3)) for clip in task.data.clips]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((10, 4, 4, 1), [(0, 4), (4, 8), (8, 10)]),
        ((10, 4, 4, 3), [(0, 4), (4, 8)]),
        ((10, 4, 2, 4), [(0, 4), (2, 6), (4, 8), (6, 10)]),
        ((3, 4, 4, 1), [(0, 3)]),
        ((8, 4, 4, 0), [(0, 4), (4, 8)]),
        ((0, 4, 4, 1), []),
    ],
    ids=str,
)
def test_fixed_stride(arguments: tuple[float, float, float, float], expected: list[tuple[float, float]]) -> None:
    assert fixed_stride_spans(*arguments) == expected


@given(st.floats(0.1, 500), st.floats(0.1, 50), st.floats(0, 5))
def test_clips_without_overlap_cover_the_video(duration: float, length: float, shortest: float) -> None:
    shortest = min(shortest, length)
    spans = fixed_stride_spans(duration, length, length, shortest)
    assert all(end - start >= shortest - 1e-5 for start, end in spans)
    covered = sum(end - start for start, end in spans)
    assert duration - shortest - 1e-3 <= covered <= duration + 1e-3


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (SceneRules(None, None, "stride", None), [(0, 3), (3, 15), (15, 16)]),
        (SceneRules(2, 5, "stride", None), [(0, 3), (3, 8), (8, 13), (13, 15)]),
        (SceneRules(2, 5, "truncate", None), [(0, 3), (3, 8)]),
        (SceneRules(2, 5, "stride", 0.5), [(0.5, 2.5), (3.5, 8.5), (8.5, 13.5)]),
        (SceneRules(0, 20, "stride", 0.6), [(0.6, 2.4), (3.6, 14.4)]),
    ],
    ids=["as_found", "stride", "truncate", "crop", "crop_leaves_nothing"],
)
def test_scene_rules(rules: SceneRules, expected: list[tuple[float, float]]) -> None:
    found = rules.apply(scenes_between([3, 15], 16))
    assert [(round(start, 6), round(end, 6)) for start, end in found] == expected


def test_a_video_of_one_scene_is_a_clip_or_none() -> None:
    scene = scenes_between([], 5)
    assert SceneRules(1, 10, "stride", None).apply(scene) == [(0, 5)]
    assert SceneRules(1, 10, "stride", None, entire_scene_as_clip=False).apply(scene) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length_mode": "strode"}, "max_length_mode 'strode' is not known"),
        ({"max_length_s": 0}, "above 0"),
        ({"min_length_s": 5, "max_length_s": 3}, "no clip would be left"),
    ],
    ids=["mode", "zero", "crossed"],
)
def test_rules_that_cannot_be_kept_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SceneDetectClipExtractionStage(**options)
    with pytest.raises(OptionError, match=message):
        TransNetV2ClipExtractionStage(**options)


def test_fixed_stride_stage_names_clips_by_their_frames() -> None:
    task = FixedStrideExtractorStage(0.8, 0.8, 0.1).process(task_of(make_video(20, fps=10)))
    assert spans_of(task) == [(0, 0.8), (0.8, 1.6), (1.6, 2.0)]
    assert [clip.uuid for clip in task.data.clips] == [
        uuid5(NAMESPACE_URL, f"a.mp4_{start}_{end}") for start, end in [(0, 8), (8, 16), (16, 20)]
    ]


def test_limit_clips() -> None:
    stage = FixedStrideExtractorStage(0.5, 0.5, 0.1, limit_clips=2)
    task = stage.process(task_of(make_video(20, fps=10)))
    assert spans_of(task) == [(0, 0.5), (0.5, 1.0)]
    clips = list(task.data.clips)
    assert stage.process(task).data.clips == clips


def test_without_metadata_there_are_no_clips() -> None:
    task = VideoTask(dataset_name="test", data=Video("a.mp4", source_bytes=b"x"))
    assert FixedStrideExtractorStage(1, 1, 1).process(task).data.errors == {"metadata": "incomplete"}
    with pytest.raises(
        ValueError, match=r"video a\.mp4 has no bytes and there is no such file; put VideoReader before"
    ):
        FixedStrideExtractorStage(1, 1, 1).process(VideoTask(dataset_name="test", data=Video("a.mp4")))
    with pytest.raises(OptionError, match="clip_stride_s must be above 0"):
        FixedStrideExtractorStage(1, 0, 1)


@pytest.mark.parametrize("detector", ["content", "adaptive"])
def test_known_cuts_of_a_real_video_are_found(detector: Any) -> None:
    pytest.importorskip("scenedetect")
    found = find_cuts(real_clip("bikes.mp4"), detector=detector)
    assert [frame for frame, _ in found] == CUTS_OF_BIKES
    assert [time for _, time in found] == pytest.approx([frame / 25 for frame in CUTS_OF_BIKES])


def test_a_real_video_without_cuts_has_none() -> None:
    pytest.importorskip("scenedetect")
    assert find_cuts(real_clip("bigbuckbunny.mp4")) == []


def test_cuts_have_their_times_where_the_frame_rate_varies() -> None:
    pytest.importorskip("scenedetect")
    times = [0.05 * number for number in range(20)] + [1.0 + 0.2 * number for number in range(20)]
    shades = [colour(20, 20, 20), colour(235, 235, 235)]
    data = make_video(40, times=times, paint=lambda number: shades[number >= 20])
    assert find_cuts(data) == [(20, pytest.approx(1.0))]
    task = SceneDetectClipExtractionStage().process(task_of(data))
    assert [span[0] for span in spans_of(task)] == [0, 1.0]


def test_scene_detection_of_a_broken_video_keeps_the_task() -> None:
    pytest.importorskip("scenedetect")
    task = task_of(make_video(5))
    task.data.source_bytes = b"broken"
    found = SceneDetectClipExtractionStage().process(task).data
    assert found.clips == []
    assert "cannot be opened as a video" in found.errors["scene_detection"]


def cut(data: bytes, *spans: tuple[float, float], **options: Any) -> list[Any]:
    found = list(cut_clips(data, spans, EncoderSettings(options={"preset": "ultrafast", "crf": "10"}), **options))
    return sorted(found, key=lambda clip: clip.index)


def numbers_in(data: bytes) -> list[int]:
    return [number_of(frame) for frame in decode_all(data)[1]]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 1), (1, 2)], [range(10), range(10, 20)]),
        ([(0, 1), (0.5, 1.5)], [range(10), range(5, 15)]),
        ([(0.3, 0.6), (4.4, 5.0)], [range(3, 6), range(44, 50)]),
        ([(4.95, 5.0)], [[]]),
        ([(0, 5), (1, 2), (3, 3.5)], [range(50), range(10, 20), range(30, 35)]),
    ],
    ids=["side_by_side", "overlap", "gap", "between_frames", "nested"],
)
def test_clips_have_the_frames_of_their_spans(spans: list[tuple[float, float]], expected: list[Any]) -> None:
    found = cut(make_video(50, fps=10, gop=5), *spans)
    assert [numbers_in(clip.data) if clip.data else [] for clip in found] == [list(numbers) for numbers in expected]
    assert all(bool(clip.error) != bool(clip.data) for clip in found)


def test_times_of_a_varying_rate_are_kept() -> None:
    times = [0.0, 0.1, 0.15, 0.5, 0.9, 1.0, 1.3, 1.35]
    (clip,) = cut(make_video(8, times=times), (0.1, 1.3))
    assert decode_all(clip.data)[0] == pytest.approx([0, 0.05, 0.4, 0.8, 0.9], abs=1e-3)


def test_a_clip_of_a_rotated_video_is_seen_like_it() -> None:
    data = make_video(10, rotation=90)
    (clip,) = cut(data, (0, 1))
    source, result = extract_video_metadata(data), extract_video_metadata(clip.data)
    assert (result.width, result.height) == (source.width, source.height) == (64, 96)


def test_sides_are_made_even() -> None:
    data = make_video(5, paint=lambda number: colour(number, 0, 0, 63, 95), codec="ffv1", container="matroska")
    (clip,) = cut(data, (0, 0.5))
    found = extract_video_metadata(clip.data)
    assert (found.width, found.height) == (94, 62)


def test_sound_is_copied_and_cut() -> None:
    found = cut(real_clip("bigbuckbunny.mp4").read_bytes(), (1, 2), (3, 4.5))
    import io

    import av

    for clip, seconds in zip(found, [1, 1.5], strict=True):
        with av.open(io.BytesIO(clip.data)) as container:
            assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
            stream = container.streams.audio[0]
            assert float(stream.duration * stream.time_base) == pytest.approx(seconds, abs=0.05)
            samples = sum(frame.samples for frame in container.decode(audio=0))
        assert samples / 48_000 == pytest.approx(seconds, abs=0.05)


def test_sound_that_mp4_cannot_hold_is_said_to_be_lost() -> None:
    task = FixedStrideExtractorStage(1, 1, 1).process(task_of(make_video(10, audio="pcm_s16le", container="matroska")))
    (result,) = ClipTranscodingStage().process(task)
    assert result.data.errors == {"audio": "pcm_s16le cannot be copied into MP4: clips have no sound"}
    assert result.data.clips[0].buffer


def test_a_cut_off_video_keeps_the_clips_before() -> None:
    data = make_video(50, gop=5, options={"movflags": "faststart"})
    task = FixedStrideExtractorStage(1, 1, 1).process(task_of(data[: int(len(data) * 0.6)]))
    (result,) = ClipTranscodingStage().process(task)
    clips = result.data.clips
    assert len(clips) == 5
    whole = [clip for clip in clips if clip.buffer]
    assert 1 <= len(whole) < 5
    assert clips[: len(whole)] == whole
    assert all(numbers_in(clip.buffer or b"") for clip in whole)
    assert all("transcode" in clip.errors for clip in clips[len(whole) :])
    assert result.data.clip_stats.num_transcoded == len(whole)


def test_a_video_that_is_gone_keeps_its_task(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(make_video(10))
    task = FixedStrideExtractorStage(1, 1, 1).process(task_of(path))
    path.write_bytes(b"something else")
    (result,) = ClipTranscodingStage().process(task)
    assert "cannot be opened as a video" in result.data.clips[0].errors["transcode"]


def test_frames_beyond_the_limit_are_not_decoded() -> None:
    task = FixedStrideExtractorStage(1, 1, 1).process(task_of(make_video(10)))
    (result,) = ClipTranscodingStage(limits=VideoLimits(max_pixels=1000)).process(task)
    assert "frames of 96 x 64, more than is accepted" in result.data.clips[0].errors["transcode"]


def test_a_video_becomes_chunks_that_leave_one_by_one() -> None:
    task = task_of(make_video(50, fps=2))
    task.data.clips = clips_of(task.data, fixed_stride_spans(25, 4, 4, 0.5))
    clips = list(task.data.clips)
    parts = [part.data for part in ClipTranscodingStage(num_clips_per_chunk=1).process(task)]
    assert [[clip.uuid for clip in part.clips] for part in parts] == [
        [clip.uuid for clip in clips[start : start + 2]] for start in (0, 2, 4, 6)
    ]
    assert [(part.num_total_clips, part.num_clip_chunks, part.clip_chunk_index) for part in parts] == [
        (7, 4, index) for index in range(4)
    ]
    assert sum(part.fraction for part in parts) == pytest.approx(1)
    assert all(part.source_bytes is None for part in parts)
    assert all(clip.buffer is None for clip in clips), "the input is as it was, should the stage be run again"


def test_chunks_made_before_are_encoded_to_the_same_clips(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(make_video(50, fps=2, gop=10))
    task = task_of(path)
    task.data.clips = clips_of(task.data, fixed_stride_spans(25, 4, 4, 0.5))
    parts = VideoChunkingStage(num_clips_per_chunk=1).process(task)
    assert [part.data.clip_chunk_index for part in parts] == [0, 1, 2, 3]
    encoded = [out.data for part in parts for out in ClipTranscodingStage(num_clips_per_chunk=1).process(part)]
    assert [(part.num_total_clips, part.num_clip_chunks, part.clip_chunk_index) for part in encoded] == [
        (7, 4, index) for index in range(4)
    ]
    direct = [part.data for part in ClipTranscodingStage(num_clips_per_chunk=1).process(task)]
    frames = [[numbers_in(clip.buffer or b"") for clip in part.clips] for part in encoded]
    assert frames == [[numbers_in(clip.buffer or b"") for clip in part.clips] for part in direct]


def test_a_video_in_memory_is_not_divided_before() -> None:
    task = task_of(make_video(50, fps=2))
    task.data.clips = clips_of(task.data, fixed_stride_spans(25, 4, 4, 0.5))
    assert VideoChunkingStage(num_clips_per_chunk=1).process(task) == [task]


def test_a_video_without_clips_goes_on() -> None:
    (result,) = ClipTranscodingStage().process(task_of(make_video(5)))
    assert result.data.clips == []
    assert (result.data.num_clip_chunks, result.data.source_bytes) == (1, None)


@pytest.mark.parametrize("encoder", ["libx264", "libvpx-vp9", "mpeg4"])
def test_encoders(encoder: str) -> None:
    stage = ClipTranscodingStage(encoder=encoder, use_input_bit_rate=encoder == "mpeg4")
    stage.check_before_run()
    stage.setup()
    task = FixedStrideExtractorStage(0.5, 0.5, 0.1).process(task_of(make_video(10)))
    (result,) = stage.process(task)
    codecs = {"libx264": "h264", "libvpx-vp9": "vp9", "mpeg4": "mpeg4"}
    for clip in result.data.clips:
        found = clip.extract_metadata()
        assert found is not None
        assert found["video_codec"].removeprefix("lib").partition("-")[0].replace("vpx", "vp9") == codecs[encoder]
        assert found["num_bytes"] == clip.num_bytes == len(clip.buffer or b"")


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"encoder": "libx265x"}, OptionError, "encoder 'libx265x' is not known; known: libx264"),
        ({"encoder": "libopenh264"}, EncoderUnavailable, "no encoder 'libopenh264'; take another one: libx264"),
    ],
    ids=["unknown", "not_there"],
)
def test_encoders_are_looked_for_before_the_run(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    import av

    if options["encoder"] in av.codecs_available:
        pytest.skip("this PyAV has it")
    stage = ClipTranscodingStage(**options)
    for check in (stage.check_before_run, stage.setup):
        with pytest.raises(kind, match=message):
            check()


def test_hardware_decoding_is_refused() -> None:
    with pytest.raises(OptionError, match="use_hwaccel is not supported"):
        ClipTranscodingStage(use_hwaccel=True)
    with pytest.raises(OptionError, match="decoder_mode 'pynvc' is not supported"):
        VideoFrameExtractionStage(decoder_mode="pynvc")


class ShotsByColour:
    """Says by how much frames differ from the next, from 0 to 1."""

    def setup(self) -> None:
        pass

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        means = frames.reshape(len(frames), -1, 3).mean(axis=1)
        change = np.abs(np.diff(means, axis=0)).max(axis=1) / 255
        return np.append(change, 0.0).astype(np.float32)


def test_shots_of_a_model() -> None:
    shades = [colour(250, 0, 0), colour(0, 0, 250), colour(0, 250, 0)]
    task = task_of(make_video(30, paint=lambda number: shades[number // 10]))
    task = VideoFrameExtractionStage().process(task)
    assert task.data.frame_array is not None
    assert task.data.frame_array.shape == (30, 27, 48, 3)
    stage = TransNetV2ClipExtractionStage(model=ShotsByColour(), min_length_s=0.5, crop_s=None)
    stage.setup()
    task = stage.process(task)
    assert spans_of(task) == [(0, 1), (1, 2), (2, 3)]
    assert task.data.frame_array is None
    with pytest.raises(ValueError, match="needs frames of 27 x 48 pixels, it has none; put VideoFrameExtractionStage"):
        TransNetV2ClipExtractionStage(model=ShotsByColour()).process(task_of(make_video(5)))


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([0, 0, 0, 0], [(0, 4)]),
        ([0, 0.9, 0, 0], [(0, 2), (2, 4)]),
        ([0, 0.9, 0.8, 0], [(0, 3), (3, 4)]),
        ([0, 0, 0, 0.9], [(0, 4)]),
        ([], []),
    ],
    ids=str,
)
def test_a_run_of_frames_above_the_threshold_is_one_transition(probabilities: list[float], expected: list[Any]) -> None:
    assert shots_of(np.asarray(probabilities, np.float32), 0.4, 1.0) == expected


def test_the_network_says_what_it_needs() -> None:
    try:
        import torch  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        with pytest.raises(ImportError, match=r"TransNetV2 needs the package 'torch'.*curator-backends\[video-torch\]"):
            TransNetV2ClipExtractionStage().setup()
    else:
        pytest.skip("torch is installed")


def test_frames_that_take_too_much_memory_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        task = VideoFrameExtractionStage(max_bytes=10 * 27 * 48 * 3).process(task_of(make_video(20)))
    assert "has more than 10 frames" in task.data.errors["frame_extraction"]
    assert task.data.frame_array is None


def _claiming(hours: float) -> bytes:
    """A second of Matroska whose header says that it lasts hours."""
    data = bytearray(make_video(10, container="matroska"))
    place = data.index(b"\x44\x89\x88") + 3
    data[place : place + 8] = struct.pack(">d", hours * 3_600_000)
    return bytes(data)


def test_a_file_that_claims_to_be_long_costs_no_more_than_it_is(caplog: pytest.LogCaptureFixture) -> None:
    task = FixedStrideExtractorStage(60, 60, 1).process(task_of(_claiming(20)))
    assert len(task.data.clips) == 1200
    with caplog.at_level(logging.WARNING):
        (result,) = ClipTranscodingStage(num_clips_per_chunk=10_000).process(task)
    assert result.data.clip_stats.num_transcoded == 0
    assert "ends after 0.90 s, before the clip from 0.00 s to 60.00 s does" in result.data.clips[0].errors["transcode"]
    assert len([record for record in caplog.records if "cannot be cut" in record.message]) == 1
    with pytest.raises(ValueError, match="more than is accepted; raise max_duration_s"):
        task_of(_claiming(30))


@pytest.mark.parametrize("number", [1, 49, 50, 51, 120, 250])
def test_windows_of_the_network_have_every_frame_once_in_their_middle(number: int) -> None:
    frames = np.arange(number, dtype=np.uint8).reshape(number, 1, 1, 1)
    windows = _windows(frames)
    assert {len(window) for window in windows} == {100}
    middles = np.concatenate([window[25:-25] for window in windows])[:number]
    assert middles.ravel().tolist() == list(range(number))
    assert set(windows[0][:25].ravel()) == {0}, "before the first frame there is itself"
