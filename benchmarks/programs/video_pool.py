"""What a good engineer writes by hand: ``video_pool WORKERS FILM OUTPUT``.

A pool of processes takes part after part of the film, about a minute each. A part is sought, decoded and encoded frame by frame; clips
appear under their names when they are complete.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av

_CLIP_S, _PART_S = 10, 60


def cut(start: int, film: str, folder: Path, stop: float) -> int:
    """Cut one part; return the number of clips."""
    clips = 0
    with av.open(film) as source:
        stream = source.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", 1
        base = stream.time_base or Fraction(1, 1000)
        source.seek(int(start / base), stream=stream)
        out: Any = None
        encoder: Any = None
        current = -1
        end = min(stop, start + _PART_S)
        for frame in source.decode(stream):
            time = float(frame.time or 0)
            if time < start - 1e-4:
                continue
            if time >= end - 1e-4:
                break
            index = int((time + 1e-4) / _CLIP_S)
            if index != current:
                clips += _close(out, encoder, folder, current)
                out, encoder = _open(folder, index, stream)
                current = index
            picture = frame.reformat(format="yuv420p")
            picture.pts, picture.pict_type = round((time - index * _CLIP_S) * 60_000), 0  # pyright: ignore[reportAttributeAccessIssue]
            picture.time_base = Fraction(1, 60_000)
            out.mux(encoder.encode(picture))
        clips += _close(out, encoder, folder, current)
    return clips


def _open(folder: Path, index: int, source: Any) -> tuple[Any, Any]:
    out = av.open(str(folder / f".{index}.part"), "w", format="mp4")
    options = {"preset": "ultrafast", "crf": "23", "x264-params": "cpu-independent=1"}
    stream: Any = out.add_stream("libx264", rate=source.average_rate, options=options)
    stream.width, stream.height, stream.pix_fmt = source.width, source.height, "yuv420p"
    stream.codec_context.time_base = Fraction(1, 60_000)
    stream.codec_context.thread_count = 1
    return out, stream


def _close(out: Any, stream: Any, folder: Path, index: int) -> int:
    if out is None:
        return 0
    out.mux(stream.encode(None))
    out.close()
    os.replace(folder / f".{index}.part", folder / f"{index}.mp4")
    return 1


def main(workers: str, film: str, target: str) -> None:
    """Cut a film."""
    folder = Path(target)
    folder.mkdir(parents=True)
    with av.open(film) as source:
        stop = float((source.duration or 0) / 1_000_000)
    work = partial(cut, film=film, folder=folder, stop=stop)
    with multiprocessing.Pool(int(workers)) as pool:
        clips = sum(pool.imap_unordered(work, range(0, int(stop) + 1, _PART_S)))
    print(json.dumps({"clips": clips}))


if __name__ == "__main__":
    main(*sys.argv[1:])
