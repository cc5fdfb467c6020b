"""A video of two hours in 1080p is cut into clips of ten seconds, which are encoded anew, with two workers.

Why: it is what takes the time in curating videos, and a film that is taken as one task would keep one core busy and stand in memory. Real
clips, repeated. All use the same decoder, the same encoder with the same options, and one thread for each. Against: a `multiprocessing.Pool(2)`
over parts of the film, each decoded and encoded by a loop over PyAV. Goal: within 5 % of the loop by hand, and less than 1 GB for everything.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.corpus import OUT
from benchmarks.environments import Unavailable
from benchmarks.films import make_film
from benchmarks.harness import Case, CaseResult, Column, Contestant, Scale
from benchmarks.measure import program

__all__ = ["cases", "conclude"]

_WORKERS = 2
_HAND, _OURS = "by hand, PyAV", "LocalExecutor"


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return one case. Makes the film, the first time."""
    seconds = scale.pick(7200, 120, 15)
    width, height = scale.pick((1920, 1080), (1280, 720), (320, 180))
    try:
        film, why = make_film(seconds, width, height), ""
    except (Unavailable, ImportError) as missing:
        film, why = Path(), str(missing)
    return (
        Case(
            title=f"{seconds} s of {width} x {height} into clips of 10 s, {_WORKERS} workers",
            contestants=(_contestant(_HAND, "video_pool", film, why), _contestant(_OURS, "video_pipeline", film, why)),
            repeats=scale.pick(2, 2, 2),
            warm_up=False,
            same=("clips", "frames"),
            columns=(Column("video s/s", lambda sample: seconds / sample.wall),),
        ),
    )


def _contestant(name: str, module: str, film: Path, skipped: str) -> Contestant:
    output = OUT / module

    def empty() -> None:
        shutil.rmtree(output, ignore_errors=True)

    return Contestant(
        name=name,
        command=program(module, _WORKERS, film, output),
        prepare=empty,
        inspect=partial(_counted, output),
        skipped=skipped,
    )


def _counted(output: Path) -> dict[str, Any]:
    """Return how many clips there are, and frames in them."""
    import av

    clips = sorted(output.rglob("*.mp4"))
    frames = 0
    for clip in clips:
        with av.open(str(clip)) as container:
            frames += container.streams.video[0].frames
    return {"clips": len(clips), "frames": frames}


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Compare ours with the loop by hand."""
    (result,) = results
    ratio = result.paired(_OURS, _HAND, lambda mine, theirs: mine.wall / theirs.wall)
    memory = result.median(_OURS, lambda sample: sample.tree_mb)
    return [
        f"goal: within 5 % of the loop by hand; ours takes {ratio.median:.2f} times as long ({ratio.low:.2f}..{ratio.high:.2f})",
        f"goal: less than 1 GB; ours takes {memory:.0f} MB with all its workers",
    ]
