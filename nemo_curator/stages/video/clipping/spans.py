"""Where clips begin and end: pure arithmetic on seconds."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from nemo_curator.errors import OptionError
from nemo_curator.tasks.video import Clip, Video

__all__ = ["SceneRules", "Span", "clip_of", "clips_of", "fixed_stride_spans", "scenes_between", "spans_in_chunks"]

Span = tuple[float, float]
"""Start and end in seconds."""

_TOLERANCE = 1e-6
# What a clip is taken to last when chunks are sized.
_SECONDS_PER_CLIP = 8.0


def fixed_stride_spans(duration_s: float, length_s: float, stride_s: float, shortest_s: float) -> list[Span]:
    """Return spans of `length_s` that begin at 0, `stride_s`, twice that, and so on.

    The last ones end with the video; what is shorter than `shortest_s` is left out.
    """
    number = max(0, int((duration_s - _TOLERANCE) / stride_s) + 1) if duration_s > 0 else 0
    spans = [(start, min(start + length_s, duration_s)) for start in (index * stride_s for index in range(number))]
    return [(start, end) for start, end in spans if end - start >= max(shortest_s, _TOLERANCE) - _TOLERANCE]


def scenes_between(cuts: Iterable[float], duration_s: float) -> list[Span]:
    """Return the spans between cuts; each cut begins a new scene."""
    inner = sorted({cut for cut in cuts if 0 < cut < duration_s})
    return list(pairwise([0.0, *inner, duration_s])) if duration_s > 0 else []


@dataclass(frozen=True)
class SceneRules:
    """What becomes of scenes that are too long, too short, or not found.

    Attributes:
        min_length_s: Shorter clips are left out; `None` for any.
        max_length_s: Longer scenes are cut; `None` for any.
        max_length_mode: ``"stride"``: into clips of that length, one after the other. ``"truncate"``: only the beginning is kept.
        crop_s: Seconds to leave out at both ends of a scene, where a transition may be; `None` for none.
        entire_scene_as_clip: A video without a cut is one scene; otherwise it has no clips.
    """

    min_length_s: float | None = 2.0
    max_length_s: float | None = 10.0
    max_length_mode: Literal["stride", "truncate"] = "stride"
    crop_s: float | None = 0.5
    entire_scene_as_clip: bool = True

    def __post_init__(self) -> None:
        if self.max_length_mode not in ("stride", "truncate"):
            message = f"max_length_mode {self.max_length_mode!r} is not known; known: stride, truncate"
            raise OptionError(message)
        if self.max_length_s is not None and self.max_length_s <= 0:
            message = f"max_length_s must be above 0, or None for any length; got {self.max_length_s}"
            raise OptionError(message)
        if self.max_length_s is not None and (self.min_length_s or 0) > self.max_length_s:
            message = (
                f"min_length_s={self.min_length_s} is more than max_length_s={self.max_length_s}: no clip would be left"
            )
            raise OptionError(message)

    def apply(self, scenes: Sequence[Span]) -> list[Span]:
        """Return the spans of clips: scenes are cropped, then cut, then the short ones left out."""
        if len(scenes) == 1 and not self.entire_scene_as_clip:
            return []
        crop = self.crop_s or 0.0
        cropped = [(start + crop, end - crop) for start, end in scenes]
        parts = [part for scene in cropped for part in self._cut(scene)]
        shortest = max(self.min_length_s or 0.0, _TOLERANCE)
        return [(start, end) for start, end in parts if end - start >= shortest - _TOLERANCE]

    def _cut(self, scene: Span) -> list[Span]:
        start, end = scene
        longest = self.max_length_s
        if longest is None or end - start <= longest + _TOLERANCE:
            return [scene]
        if self.max_length_mode == "truncate":
            return [(start, start + longest)]
        return [
            (start + offset, min(start + offset + longest, end))
            for offset, _ in fixed_stride_spans(end - start, longest, longest, 0)
        ]


def clip_of(video: Video, span: Span) -> Clip:
    """Return a clip whose id follows from the video's path and the frames that it begins and ends with."""
    rate = video.metadata.framerate or 0.0
    first, last = int(span[0] * rate + _TOLERANCE), int(span[1] * rate + _TOLERANCE)
    path = video.input_path
    return Clip(uuid=uuid.uuid5(uuid.NAMESPACE_URL, f"{path}_{first}_{last}"), source_video=path, span=span)


def clips_of(video: Video, spans: Iterable[Span], limit: int = -1) -> list[Clip]:
    """Return the clips of these spans, at most `limit` of them if that is above 0."""
    clips = [clip_of(video, span) for span in spans]
    return clips[:limit] if limit > 0 else clips


def spans_in_chunks(clips: Sequence[Clip], clips_per_chunk: int) -> list[list[Clip]]:
    """Divide clips into runs that last about `clips_per_chunk` times eight seconds."""
    room = clips_per_chunk * _SECONDS_PER_CLIP
    chunks: list[list[Clip]] = []
    seconds = 0.0
    for clip in clips:
        if not chunks or seconds + clip.duration > room + _TOLERANCE:
            chunks.append([])
            seconds = 0.0
        chunks[-1].append(clip)
        seconds += clip.duration
    return chunks
