from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

pytest.importorskip("av")

from fsspec.implementations.memory import MemoryFileSystem

from nemo_curator.errors import DataError, InputError
from nemo_curator.tasks.video import Video
from nemo_curator.utils.client_utils import FSPath
from nemo_curator.utils.decoder_utils import (
    FrameExtractionPolicy,
    FrameExtractionSignature,
    decode_at_rates,
    decode_video_cpu,
    decode_video_cpu_frame_ids,
    extract_frames,
    extract_video_metadata,
    find_closest_indices,
    get_avg_frame_rate,
    get_frame_count,
    get_video_timestamps,
    nearest_frames,
    sample_closest,
)
from nemo_curator.utils.video_files import VideoLimits, open_video
from nemo_curator.utils.windowing_utils import compute_windows
from tests.stages.video.hostile import FASTSTART, HOSTILE, playlist
from tests.stages.video.media import colour, make_video, number_of, real_clip


def test_metadata_of_a_real_video() -> None:
    found = extract_video_metadata(real_clip("bigbuckbunny.mp4"))
    assert (found.width, found.height, found.fps, found.num_frames) == (1280, 720, 25.0, 132)
    assert (found.video_codec, found.pixel_format, found.audio_codec) == ("h264", "yuv420p", "aac")
    assert found.video_duration == pytest.approx(5.28)
    assert found.bit_rate_k == 1205


def test_bytes_path_text_and_other_filesystems_are_the_same_video() -> None:
    path = real_clip("carphone_distorted.mp4")
    fs = MemoryFileSystem()
    fs.pipe_file("/videos/a.mp4", path.read_bytes())
    sources = [path, str(path), path.read_bytes(), FSPath(fs, "/videos/a.mp4")]
    first, *others = [extract_video_metadata(source) for source in sources]
    assert all(other == first for other in others)
    assert get_frame_count(path) == 120
    assert get_avg_frame_rate(path) == pytest.approx(29.97, abs=0.01)


def test_video_populates_its_metadata(tmp_path: Path) -> None:
    data = make_video(20, fps=10)
    (tmp_path / "a.mp4").write_bytes(data)
    for video in (Video("nowhere.mp4", source_bytes=data), Video(tmp_path / "a.mp4")):
        video.populate_metadata()
        assert video.has_metadata()
        assert (video.metadata.size, video.metadata.num_frames, video.metadata.framerate) == (len(data), 20, 10.0)
        assert video.weight == pytest.approx(2.0 / 300)
    with pytest.raises(ValueError, match=r"video nowhere\.mp4 has no bytes, and there is no such file"):
        Video("nowhere.mp4").populate_metadata()


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_rotated_video_is_seen_as_it_was_filmed(rotation: int) -> None:
    def corner(_: int) -> np.ndarray:
        frame = colour(0, 0, 0, 64, 96)
        frame[:32, :32] = 255
        return frame

    data = make_video(3, paint=corner, rotation=rotation)
    found = extract_video_metadata(data)
    turned = abs(rotation) == 90
    assert (found.width, found.height) == ((64, 96) if turned else (96, 64))
    frame = decode_video_cpu(data, 10.0)[0]
    assert frame.shape == (found.height, found.width, 3)
    expected = np.rot90(corner(0), rotation // 90)
    assert np.abs(frame.astype(int) - expected).mean() < 4


def test_frames_of_a_varying_rate_are_sampled_evenly_in_time() -> None:
    times = [0.0, 0.1, 0.2, 0.3, 1.0, 1.9, 2.0]
    data = make_video(7, times=times)
    assert get_video_timestamps(data).tolist() == pytest.approx(times)
    frames = decode_video_cpu(data, 1.0)
    assert [number_of(frame) for frame in frames] == [0, 4, 6]
    # Between 0.3 and 1.0 there is nothing: 0.5 is nearer to the one before.
    assert [number_of(frame) for frame in decode_video_cpu(data, 2.0)] == [0, 3, 4, 5, 6]


def test_several_rates_are_decoded_at_once() -> None:
    data = make_video(20, fps=10)
    found = decode_at_rates(data, [1.0, 5.0], size=(8, 12))
    assert {rate: [number_of(frame) for frame in frames] for rate, frames in found.items()} == {
        1.0: [0, 10],
        5.0: list(range(0, 20, 2)),
    }
    assert found[1.0].shape == (2, 8, 12, 3)


def test_policies_choose_frames() -> None:
    data = make_video(9, fps=10)
    chosen = {
        policy.name: [number_of(f) for f in extract_frames(data, policy, 5.0)] for policy in FrameExtractionPolicy
    }
    assert chosen == {"first": [0], "middle": [4], "last": [8], "sequence": [0, 2, 4, 6, 8]}
    assert [number_of(frame) for frame in decode_video_cpu_frame_ids(data, [1, 5], [2, 1])] == [1, 1, 5]
    with pytest.raises(DataError, match="ends before frame 30: 1 of the frames"):
        decode_video_cpu_frame_ids(data, [2, 30])


def test_signature_is_the_key_of_the_contract() -> None:
    signature = FrameExtractionSignature(FrameExtractionPolicy.sequence, 2.0)
    assert signature.to_str() == "FrameExtractionPolicy.sequence-2000"


times_of_frames = st.lists(st.integers(0, 4000), min_size=1, max_size=40, unique=True).map(
    lambda ticks: [tick / 100 for tick in sorted(ticks)]
)


@given(times_of_frames, st.sampled_from([0.5, 1.0, 2.0, 3.0]))
def test_streamed_sampling_takes_what_sampling_of_all_times_takes(times: list[float], rate: float) -> None:
    # Which of two frames that are as near is taken is a matter of rounding.
    moments = times[0] + np.arange(int((times[-1] - times[0]) * rate) + 2) / rate
    assume(all(np.abs(moments - (a + b) / 2).min() > 1e-3 for a, b in pairwise(times)))
    indices, counts = sample_closest(np.asarray(times), rate)
    streamed = [
        (index, wanted[rate]) for wanted, index in nearest_frames([(t, i) for i, t in enumerate(times)], [rate])
    ]
    assert [index for index, _ in streamed] == indices.tolist()
    assert [count for _, count in streamed] == counts.tolist()


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.lists(st.floats(-5, 105), max_size=10))
def test_the_closest_is_the_closest(src: list[float], dst: list[float]) -> None:
    ordered = np.sort(np.asarray(src))
    found = find_closest_indices(ordered, np.asarray(dst, float))
    for value, index in zip(dst, found, strict=True):
        assert abs(ordered[index] - value) == np.abs(ordered - value).min()


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_rate_must_be_above_nothing(rate: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        sample_closest(np.asarray([0.0]), rate)
    with pytest.raises(ValueError, match="above 0"):
        list(nearest_frames([(0.0, 1)], [rate]))


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (3, []),
        (4, [(0, 3)]),
        (128, [(0, 127)]),
        (191, [(0, 190)]),
        (192, [(0, 127), (128, 191)]),
        (300, [(0, 127), (128, 299)]),
    ],
)
def test_windows(total: int, expected: list[tuple[int, int]]) -> None:
    assert [(window.start, window.end) for window in compute_windows(total)] == expected


@given(st.integers(0, 2000), st.integers(1, 300), st.integers(0, 300))
def test_windows_cover_all_frames_once(total: int, size: int, threshold: int) -> None:
    windows = compute_windows(total, size, threshold)
    covered = [frame for window in windows for frame in range(window.start, window.end + 1)]
    assert covered == (list(range(total)) if total >= 4 else [])


@pytest.mark.parametrize("kind", list(HOSTILE))
@pytest.mark.parametrize("where", ["file", "bytes"])
def test_what_is_no_video_is_refused_with_a_sentence(kind: str, where: str, tmp_path: Path) -> None:
    make, message = HOSTILE[kind]
    data = make(tmp_path)
    path = tmp_path / "hostile.mp4"
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=message):
        extract_video_metadata(path if where == "file" else data)
    # In kB on Linux, in bytes elsewhere.
    unit = 1 if sys.platform == "linux" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit < 100_000


@pytest.mark.parametrize("name", ["playlist.m3u8", "playlist.mkv"])
def test_a_playlist_cannot_make_other_files_be_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(playlist(tmp_path))
    with pytest.raises(DataError, match="cannot be opened"):
        extract_video_metadata(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.mp4")
    with pytest.raises(InputError, match="is not a regular file"):
        extract_video_metadata(tmp_path / "endless.mp4")
    with pytest.raises(InputError, match="No such file"):
        extract_video_metadata(tmp_path / "gone.mp4")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (VideoLimits(max_pixels=1000), "frames of 96 x 64, more than is accepted; raise max_pixels"),
        (VideoLimits(max_duration_s=1.5), "lasts 2 s, more than is accepted; raise max_duration_s"),
        (VideoLimits(max_bytes=100), "more than is accepted; raise max_bytes"),
        (VideoLimits(max_frame_rate=5), "10 frames a second, more than is accepted; raise max_frame_rate"),
    ],
    ids=["pixels", "duration", "bytes", "rate"],
)
def test_limits_are_kept(limits: VideoLimits, message: str) -> None:
    with pytest.raises(DataError, match=message):
        extract_video_metadata(make_video(20), limits)


def test_a_limit_must_be_above_nothing() -> None:
    with pytest.raises(ValueError, match="max_pixels=0"):
        VideoLimits(max_pixels=0)


def test_the_extension_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "really_matroska.mp4"
    path.write_bytes(make_video(10, container="matroska"))
    assert extract_video_metadata(path).num_frames == 10


def test_what_is_there_of_a_file_that_is_cut_off_is_decoded() -> None:
    data = make_video(50, options=FASTSTART, gop=5)
    times: list[float] = []
    # Whether the end is met as an error is a matter of where the last packet was cut.
    with open_video(data[: int(len(data) * 0.6)]) as video, suppress(DataError):
        times.extend(time for time, _ in video.frames())
    assert 10 < len(times) < 50
    assert times == pytest.approx([number / 10 for number in range(len(times))])


@pytest.mark.parametrize("seed", range(4))
def test_damage_in_the_middle_raises_no_other_error(seed: int) -> None:
    data = bytearray(make_video(50, gop=5))
    noise = np.random.default_rng(seed)
    start = data.index(b"mdat") + int(noise.integers(100, 4000))
    data[start : start + 1500] = noise.bytes(1500)
    times: list[float] = []
    with open_video(bytes(data)) as video, suppress(DataError):
        times.extend(time for time, _ in video.frames())
    assert times == sorted(times)
