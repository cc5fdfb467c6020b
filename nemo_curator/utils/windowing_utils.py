"""Windows of frames: what a captioner is shown at a time."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WindowFrameInfo", "compute_windows"]

_FEWEST = 4


@dataclass(frozen=True, slots=True)
class WindowFrameInfo:
    """A window.

    Attributes:
        start: Its first frame.
        end: Its last frame, included.
    """

    start: int
    end: int


def compute_windows(total_frames: int, window_size: int = 128, remainder_threshold: int = 64) -> list[WindowFrameInfo]:
    """Cut frames into windows of the same size.

    What is left at the end is a window of its own if it has `remainder_threshold` frames or more; fewer go to the window before.
    Frames fewer than a window are one window; fewer than four are none, as there is nothing to be said about motion.

    Args:
        total_frames: Frames of the clip.
        window_size: Frames of a window.
        remainder_threshold: The smallest remainder that is a window of its own.

    Raises:
        ValueError: `window_size` is below 1.
    """
    if window_size < 1:
        message = f"window_size must be at least 1, got {window_size}"
        raise ValueError(message)
    if total_frames < _FEWEST:
        return []
    starts = list(range(0, total_frames, window_size))
    if len(starts) > 1 and total_frames - starts[-1] < remainder_threshold:
        starts.pop()
    ends = [*starts[1:], total_frames]
    return [WindowFrameInfo(start, end - 1) for start, end in zip(starts, ends, strict=True)]
