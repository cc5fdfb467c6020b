"""Draw videos as strips of their frames, with where they were cut, and what is known about the clips."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from nemo_curator.tasks.video import Clip, Video
from nemo_curator.utils.decoder_utils import nearest_frames
from nemo_curator.utils.video_files import open_video, rgb_array

_WIDTH, _MARGIN, _STRIP, _TILE, _ROW = 1000, 16, 68, 44, 164
_INK, _PAPER, _CUT, _KEPT, _GONE = (30, 34, 42), (252, 252, 250), (214, 40, 57), (46, 125, 80), (170, 170, 170)


def draw(videos: Sequence[Video], target: Path, *, colours_only: Container[str] = ()) -> None:
    """Save a picture of these videos and their clips.

    Args:
        videos: The videos, read and cut.
        target: File of the picture.
        colours_only: Names of videos of which only the colours are shown, from top to bottom of each frame: those that others may not see.
    """
    shown = [video for video in videos if video.has_metadata()]
    sheet = Image.new("RGB", (_WIDTH, _MARGIN + len(shown) * (_ROW + _MARGIN)), _PAPER)
    for row, video in enumerate(shown):
        blurred = Path(video.input_path).name in colours_only
        _draw_video(sheet, video, _MARGIN + row * (_ROW + _MARGIN), blurred=blurred)
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target, quality=82)


def _draw_video(sheet: Image.Image, video: Video, top: int, *, blurred: bool) -> None:
    pen = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(15), ImageFont.load_default(11)
    meta = video.metadata
    heading = f"{Path(video.input_path).name}   {meta.width} x {meta.height}, {meta.duration:.1f} s, {video.num_total_clips} clips"
    pen.text((_MARGIN, top), heading, _INK, font=large)
    strip_top = top + 24
    width = _WIDTH - 2 * _MARGIN
    sheet.paste(_strip(video, width, blurred=blurred), (_MARGIN, strip_top))
    clips = sorted((*video.clips, *video.filtered_clips), key=lambda clip: clip.span)
    per_second = width / float(meta.duration or 1)
    for clip in clips:
        left, right = (_MARGIN + round(moment * per_second) for moment in clip.span)
        kept = clip in video.clips
        pen.rectangle((left + 1, strip_top + _STRIP + 4, right - 2, strip_top + _STRIP + 10), _KEPT if kept else _GONE)
        if clip.span[0] > 0:
            pen.line((left, strip_top - 5, left, strip_top + _STRIP + 14), _CUT, 3)
        lines = _lines(clip, kept=kept) if right - left > 70 else []
        for number, line in enumerate(lines):
            pen.text((left + 3, strip_top + _STRIP + 14 + 13 * number), line, _INK, font=small)


def _lines(clip: Clip, *, kept: bool) -> list[str]:
    start, end = clip.span
    motion = clip.motion_score_global_mean
    known = [f"{start:.2f} to {end:.2f} s"]
    if motion is not None:
        known.append("motion not known" if motion < 0 else f"motion {motion:.4f}")
    scores = [
        f"{name} {score:.0f}" if score >= 1 else f"{name} {score:.3f}" for name, score in clip.frame_scores.items()
    ]
    return [*known, *(scores if kept else ["left out"])]


def _strip(video: Video, width: int, *, blurred: bool) -> Image.Image:
    """Return the middle of frames side by side, each where its time is."""
    duration = float(video.metadata.duration or 1)
    number = width // _TILE
    tile = width / number
    whole = max(_TILE, round(_STRIP * float(video.metadata.width or 1) / float(video.metadata.height or 1)))
    strip = Image.new("RGB", (width, _STRIP), _PAPER)
    with open_video(video.source) as opened:
        frames: Any = nearest_frames(opened.frames(), [number / duration])
        for index, (_, frame) in enumerate(frames):
            picture = Image.fromarray(rgb_array(frame, (_STRIP, whole)))
            if blurred:
                picture = picture.resize((1, 3), Image.Resampling.BOX).resize((whole, _STRIP), Image.Resampling.NEAREST)
            left = (whole - _TILE) // 2
            strip.paste(picture.crop((left, 0, left + _TILE, _STRIP)), (round(index * tile), 0))
    return strip
