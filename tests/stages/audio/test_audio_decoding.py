"""What becomes of files that are not what they should be: a reason and a sentence, never more memory than allowed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import SPEECH, soundfile, speech, tone, write

from nemo_curator.errors import OptionError
from nemo_curator.stages.audio.common import AudioLimits, UnreadableAudio, audio_info, get_audio_duration, read_audio


def _wav(**changes: int) -> bytes:
    """A recording whose header says something else."""
    data = bytearray(Path(SPEECH[0]).read_bytes())
    fmt, start = data.index(b"fmt ") + 8, data.index(b"data") + 4
    places = {
        "riff": (4, "<I"),
        "codec": (fmt, "<H"),
        "channels": (fmt + 2, "<H"),
        "rate": (fmt + 4, "<I"),
        "bits": (fmt + 14, "<H"),
        "data": (start, "<I"),
    }
    for name, value in changes.items():
        at, code = places[name]
        struct.pack_into(code, data, at, value)
    return bytes(data)


def _encoded(folder: Path, subtype: str, kind: str) -> bytes:
    waveform, rate = speech()
    path = folder / "encoded"
    write(path, waveform, rate, subtype=subtype, kind=kind)
    return path.read_bytes()


def _nan(folder: Path) -> bytes:
    waveform = tone()
    waveform[0, 500] = np.nan
    write(folder / "nan.wav", waveform, subtype="FLOAT")
    return (folder / "nan.wav").read_bytes()


def _half_flac(folder: Path) -> bytes:
    data = _encoded(folder, "PCM_16", "FLAC")
    return data[: len(data) // 2]


def _long_flac(folder: Path) -> bytes:
    """A FLAC whose header claims 2**35 samples."""
    data = bytearray(_encoded(folder, "PCM_16", "FLAC"))
    packed = int.from_bytes(data[18:26], "big")
    data[18:26] = ((packed & ~((1 << 36) - 1)) | (1 << 35)).to_bytes(8, "big")
    return bytes(data)


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n%s\n#EXT-X-ENDLIST\n" % SPEECH[0].encode()

BROKEN: dict[str, tuple[Callable[[Path], bytes], str, str]] = {
    "nothing-in-it": (lambda _: b"", "unreadable", "cannot be read as audio"),
    "text-with-another-name": (lambda _: b"this is not audio\n" * 40, "unreadable", "cannot be read as audio"),
    "header-cut-off": (lambda _: _wav()[:20], "unreadable", "cannot be read as audio"),
    "only-a-header": (lambda _: _wav()[:44], "empty", "has no samples"),
    "no-channels": (lambda _: _wav(channels=0), "unreadable", "Channel count is zero"),
    "no-sample-rate": (lambda _: _wav(rate=0), "unreadable", "cannot be read as audio"),
    "codec-that-nobody-knows": (lambda _: _wav(codec=0x4242), "unreadable", "no audio that it can decode"),
    "sample-rate-of-2-GHz": (lambda _: _wav(rate=2_000_000_000), "unreadable", "sample rate of 2000000000 Hz"),
    "flac-cut-off": (_half_flac, "unreadable", "cut off or damaged"),
    "flac-claims-2-to-the-35": (_long_flac, "unreadable", "cut off or damaged"),
    "not-a-number": (_nan, "not_finite", "not finite numbers, near second 1"),
    "playlist-naming-a-file": (lambda _: PLAYLIST, "unreadable", "cannot be read as audio"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_used_has_a_reason(tmp_path: Path, case: str) -> None:
    make, reason, words = BROKEN[case]
    path = tmp_path / "sound.wav"
    path.write_bytes(make(tmp_path))
    with pytest.raises(UnreadableAudio, match=words) as caught:
        read_audio(str(path))
    assert caught.value.reason == reason
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [("gone.wav", "does not exist"), (".", "is a folder"), ("two\nlines.wav", "does not exist")],
    ids=["gone", "folder", "odd"],
)
def test_what_is_not_a_file_is_missing(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(UnreadableAudio, match=words) as caught:
        read_audio(str(tmp_path / name))
    assert caught.value.reason == "missing"


SOUND: dict[str, tuple[Callable[[Path], bytes], int]] = {
    "claims-4-GB": (lambda _: _wav(riff=0xFFFFFFFF, data=0xFFFFFFF0), 113600),
    "claims-nothing-else": (lambda _: _wav(), 113600),
    "wav-cut-off": (lambda _: _wav()[: 44 + 2 * 50000], 50000),
}


@pytest.mark.parametrize("case", SOUND)
def test_a_header_that_lies_does_not_matter_where_the_samples_tell(tmp_path: Path, case: str) -> None:
    make, frames = SOUND[case]
    path = tmp_path / "sound.wav"
    path.write_bytes(make(tmp_path))
    waveform, rate = read_audio(str(path))
    assert (waveform.shape, rate, waveform.dtype) == ((1, frames), 16000, np.float32)
    np.testing.assert_array_equal(waveform, speech()[0][:, :frames])


@pytest.mark.parametrize(
    ("subtype", "kind", "tolerance"),
    [
        ("PCM_U8", "WAV", 0.01),
        ("PCM_16", "WAV", 1e-4),
        ("PCM_24", "WAV", 1e-6),
        ("PCM_32", "WAV", 1e-7),
        ("FLOAT", "WAV", 0),
        ("DOUBLE", "WAV", 1e-7),
        ("ULAW", "WAV", 0.03),
        ("PCM_16", "FLAC", 1e-4),
        ("PCM_16", "AIFF", 1e-4),
    ],
)
def test_every_format_gives_the_same_samples(tmp_path: Path, subtype: str, kind: str, tolerance: float) -> None:
    waveform, rate = speech()
    path = write(tmp_path / "misnamed.mp3", waveform, rate, subtype=subtype, kind=kind)
    found, found_rate = read_audio(path)
    assert found_rate == rate
    np.testing.assert_allclose(found, waveform, atol=tolerance)


@pytest.mark.parametrize(("subtype", "kind"), [("VORBIS", "OGG"), ("OPUS", "OGG"), ("MPEG_LAYER_III", "MP3")])
def test_formats_that_lose_something_keep_the_length(tmp_path: Path, subtype: str, kind: str) -> None:
    waveform, rate = speech()
    path = write(tmp_path / "sound", waveform, rate, subtype=subtype, kind=kind)
    found, found_rate = read_audio(path)
    assert found.shape[1] / found_rate == pytest.approx(7.1, abs=0.01)
    assert np.corrcoef(found[0, :100000], waveform[0, :100000])[0, 1] > 0.9
    assert audio_info(path).seconds == pytest.approx(7.1, abs=0.01)


def test_what_libsndfile_does_not_know_is_read_by_ffmpeg(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = str(tmp_path / "sound.m4a")
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone(2.0, 48000)), format="fltp", layout="mono")
        frame.sample_rate = 48000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.info(path)
    waveform, rate = read_audio(path)
    assert rate == 48000
    assert waveform.shape[1] / rate == pytest.approx(2.0, abs=0.05)
    assert np.sqrt(np.mean(waveform[:, 20000:60000] ** 2)) == pytest.approx(0.5 / np.sqrt(2), abs=0.02)
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableAudio):
        read_audio(path)


def test_channels_that_appear_in_the_middle_do_not_crash_the_process(tmp_path: Path) -> None:
    # PyAV 18.1 reads memory that is not there when a frame has more channels than the stream: found with damaged files.
    av = pytest.importorskip("av")
    data = b""
    for channels, layout in ((1, "mono"), (6, "5.1")):
        path = str(tmp_path / f"{channels}.aac")
        with av.open(path, "w", format="adts") as container:
            stream = container.add_stream("aac", rate=48000, layout=layout)
            frame = av.AudioFrame.from_ndarray(np.tile(tone(0.5, 48000), (channels, 1)), format="fltp", layout=layout)
            frame.sample_rate = 48000
            for packet in (*stream.encode(frame), *stream.encode(None)):
                container.mux(packet)
        assert read_audio(path, mono=False)[0].shape[0] == channels
        data += Path(path).read_bytes()
    (tmp_path / "both.aac").write_bytes(data)
    with pytest.raises(UnreadableAudio, match="changes its sample rate or its channels in the middle"):
        read_audio(str(tmp_path / "both.aac"))


def test_channels_are_averaged_or_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "many.wav", tone(channels=6), subtype="FLOAT")
    assert read_audio(path, mono=False)[0].shape == (6, 16000)
    np.testing.assert_allclose(read_audio(path)[0], tone() / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (AudioLimits(max_seconds=7.0), "too_long"),
        (AudioLimits(max_samples=100_000), "too_large"),
        (AudioLimits(max_channels=1), "unreadable"),
        (AudioLimits(max_sample_rate=8000), "unreadable"),
    ],
    ids=["seconds", "samples", "channels", "rate"],
)
def test_limits_hold_for_what_is_decoded(tmp_path: Path, limits: AudioLimits, reason: str) -> None:
    waveform, rate = speech()
    path = write(tmp_path / "sound.wav", np.concatenate([waveform, waveform]), rate)
    with pytest.raises(UnreadableAudio) as caught:
        read_audio(path, limits=limits)
    assert caught.value.reason == reason
    assert read_audio(path)[0].shape == (1, 113600)


@pytest.mark.parametrize("option", ["max_seconds", "max_samples", "max_channels", "max_sample_rate"])
def test_limits_are_above_zero(option: str) -> None:
    with pytest.raises(OptionError, match=option):
        AudioLimits(**{option: 0})


def test_files_elsewhere_are_read_through_fsspec() -> None:
    fsspec: Any = pytest.importorskip("fsspec")
    with fsspec.open("memory://sounds/a.wav", "wb") as handle:
        handle.write(Path(SPEECH[1]).read_bytes())
    np.testing.assert_array_equal(read_audio("memory://sounds/a.wav")[0], speech(1)[0])
    with pytest.raises(UnreadableAudio, match="does not exist"):
        read_audio("memory://sounds/b.wav")


@pytest.mark.parametrize(
    ("make", "seconds"),
    [(lambda: _wav(), 7.1), (lambda: b"no", -1.0), (lambda: _wav()[:44], 0.0)],
    ids=["sound", "broken", "empty"],
)
def test_duration_of_a_file(tmp_path: Path, make: Callable[[], bytes], seconds: float) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(make())
    assert get_audio_duration(str(path)) == pytest.approx(seconds)


def test_the_length_that_a_header_claims_has_limits_too(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    path.write_bytes(_long_flac(tmp_path))
    assert get_audio_duration(str(path)) == -1.0


ENCODED = (
    *(("WAV", kind) for kind in ("PCM_16", "FLOAT", "IMA_ADPCM")),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("MP3", "MPEG_LAYER_III"),
    ("AIFF", "PCM_16"),
)


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    waveform, rate = speech(1)
    folder = tmp_path_factory.mktemp("encoded")
    found = []
    for kind, subtype in ENCODED:
        path = folder / f"{kind}-{subtype}"
        write(path, waveform[:, 4000:8000], rate, subtype=subtype, kind=kind)
        found.append(path.read_bytes())
    return found


@settings(max_examples=150)
@given(
    st.integers(0, len(ENCODED) - 1),
    # Most of what can be wrong is wrong in a header.
    st.lists(
        st.tuples(
            st.integers(0, 100) | st.integers(0, 10_000), st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255)
        ),
        max_size=12,
    ),
    st.none() | st.integers(0, 10_000),
)
def test_whatever_is_wrong_in_a_file_it_is_read_or_has_a_reason(
    tmp_path: Path, encoded: list[bytes], which: int, changes: list[tuple[int, int]], length: int | None
) -> None:
    data = bytearray(encoded[which])
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path / "sound"
    path.write_bytes(bytes(data[:length]))
    limits = AudioLimits(max_seconds=60, max_samples=10**7)
    try:
        waveform, rate = read_audio(str(path), limits=limits)
    except UnreadableAudio as error:
        assert error.reason in {"unreadable", "empty", "not_finite", "too_long", "too_large"}  # noqa: PT017 - it may be raised or not
    else:
        assert waveform.shape[0] == 1
        assert 0 < waveform.shape[1] <= 60 * rate
        assert np.isfinite(waveform).all()
