"""What stages that work on clips have in common: a clip that cannot be worked on keeps the reason, and the others go on."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks.video import Clip, Video, VideoTask, _Window
from nemo_curator.utils.decoder_utils import nearest_frames
from nemo_curator.utils.video_files import open_video, require_av, rgb_array

if TYPE_CHECKING:
    import numpy as np
    from av import VideoFrame
    from numpy.typing import NDArray

__all__ = ["ClipStage", "frames_of", "note_error", "shown_height", "window_frames"]

_log = logging.getLogger(__name__)


class ClipStage(ProcessingStage[VideoTask, VideoTask]):
    """Works on the clips of a video, one by one.

    A subclass writes `process_clip`, which may raise `DataError`: the sentence is then kept in the clip's errors under `error_key`.
    """

    name = "clip_stage"
    error_key = "clip"

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if PyAV is not installed."""
        require_av(f"stage {self.name!r}")

    @abstractmethod
    def process_clip(self, clip: Clip, video: Video) -> None:
        """Do the work, in place.

        Raises:
            DataError: It cannot be done for this clip.
        """

    def process(self, task: VideoTask) -> VideoTask:
        """Work on every clip that is kept."""
        for clip in task.data.clips:
            try:
                self.process_clip(clip, task.data)
            except DataError as error:
                self.note_error(clip, self.error_key, str(error))
        return task

    def note_error(self, clip: Clip, key: str, why: str) -> None:
        """Keep why a clip could not be worked on."""
        note_error(clip, key, why, self.name)


def note_error(clip: Clip, key: str, why: str, stage: str) -> None:
    """Keep why a stage could not work on a clip, and log it."""
    _log.warning("stage %r: clip %s of %s: %s", stage, clip.uuid, clip.source_video, why)
    clip.errors[key] = why


def frames_of(clip: Clip, signature: str, stage: str) -> Any:
    """Return the frames that a clip has under a signature.

    Raises:
        DataError: It has none: they were not extracted, or at another rate.
    """
    frames = clip.extracted_frames.get(signature)
    if frames is None or len(frames) == 0:
        there = ", ".join(clip.extracted_frames) or "none"
        message = (
            f"it has no frames {signature} for stage {stage!r}, it has: {there}. "
            "Put ClipFrameExtractionStage with the same target_fps before it"
        )
        raise DataError(message)
    return frames


def window_frames(
    buffer: bytes, windows: Sequence[_Window], fps: float, height: int
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield frames of windows as they come, with the number of their window: those nearest to moments `fps` of which are a second.

    Args:
        buffer: The encoded clip, which is decoded once.
        windows: They do not overlap.
        fps: Moments a second.
        height: Height of the frames, height x width x 3, uint8, RGB; smaller ones stay as they are, the width follows.
    """
    with open_video(buffer) as video:
        for index, numbered in groupby(enumerate(video.frames()), key=lambda item: _window_at(item[0], windows)):
            # Frames between windows are sampled too, and not shown: so one rule is enough.
            for _, frame in nearest_frames((frame for _, frame in numbered), [fps]):
                if index is not None:
                    yield index, rgb_array(frame, shown_height(frame, height))


def shown_height(frame: VideoFrame, height: int) -> tuple[int, int]:
    """Return height and width of a frame, as it is to be seen, made no taller than `height`."""
    turned = round(frame.rotation / 90) % 2 == 1
    tall, wide = (frame.width, frame.height) if turned else (frame.height, frame.width)
    smaller = min(tall, height)
    return smaller, max(1, round(wide * smaller / tall))


def _window_at(number: int, windows: Sequence[_Window]) -> int | None:
    return next(
        (index for index, window in enumerate(windows) if window.start_frame <= number <= window.end_frame), None
    )
