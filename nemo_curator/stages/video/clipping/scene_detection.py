"""Clips that begin and end where the picture changes, found by PySceneDetect."""

from __future__ import annotations

import logging
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.errors import DataError, InputError, OptionError, require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.video.clipping.clip_extraction_stages import can_be_cut
from nemo_curator.stages.video.clipping.spans import SceneRules, clips_of, scenes_between
from nemo_curator.tasks.video import VideoTask
from nemo_curator.utils.video_files import VideoLimits, VideoSource, open_video, require_av

if TYPE_CHECKING:
    import numpy as np
    from av import VideoFrame
    from numpy.typing import NDArray

__all__ = ["SceneDetectClipExtractionStage", "find_cuts"]

_log = logging.getLogger(__name__)

Detector = Literal["content", "adaptive"]
# Colours of a frame are compared with those of the one before: that takes no more detail than this.
_WIDTH = 256


def find_cuts(
    source: VideoSource,
    *,
    detector: Detector = "content",
    threshold: float | None = None,
    min_scene_frames: int = 15,
    limits: VideoLimits | None = None,
    threads: int = 1,
) -> list[tuple[int, float]]:
    """Return where scenes begin: number of the frame, from 0, and its time in seconds. The beginning of the video is not among them.

    Frames are decoded one by one and made small, so memory depends on neither the length nor the size of the video.

    Args:
        source: The video.
        detector: ``"content"``: the mean change of hue, saturation and brightness from frame to frame. ``"adaptive"``: the same,
            relative to the frames around, for pictures that move much.
        threshold: How much is a cut; PySceneDetect's own (27, or 3 for adaptive) by default.
        min_scene_frames: Frames that a scene has at least.
        limits: What the video may be at most.
        threads: Threads of the decoder.

    Raises:
        InputError: There is no such file.
        DataError: The video cannot be decoded to its end.
    """
    from scenedetect import AdaptiveDetector, ContentDetector, FrameTimecode

    asked = {} if threshold is None else {"threshold" if detector == "content" else "adaptive_threshold": threshold}
    kind: Any = ContentDetector if detector == "content" else AdaptiveDetector
    finder: Any = kind(min_scene_len=min_scene_frames, **asked)
    times = array("d")
    found: list[int] = []
    with open_video(source, limits=limits, threads=threads) as video:
        rate = video.frame_rate or 25.0
        position = FrameTimecode(0, fps=rate)
        for time, frame in video.frames():
            position = FrameTimecode(len(times), fps=rate)
            times.append(time)
            found += [cut.frame_num for cut in finder.process_frame(position, _small(frame))]
        found += [cut.frame_num for cut in finder.post_process(position)]
    return [(number, times[number]) for number in sorted(set(found)) if 0 < number < len(times)]


def _small(frame: VideoFrame) -> NDArray[np.uint8]:
    width = min(_WIDTH, frame.width)
    height = max(1, round(frame.height * width / frame.width))
    reformatted: Any = frame.reformat(width=width, height=height, format="bgr24", interpolation="AREA")
    return reformatted.to_ndarray()


@dataclass
class SceneDetectClipExtractionStage(ProcessingStage[VideoTask, VideoTask]):
    """Give every video a clip for each of its scenes. Works on a CPU, without a model.

    Attributes:
        detector: See `find_cuts`.
        threshold: See `find_cuts`.
        min_scene_frames: See `find_cuts`.
        min_length_s: See `SceneRules`, like the four that follow.
        max_length_s: Longer scenes are cut.
        max_length_mode: How.
        crop_s: Seconds to leave out at both ends of a scene.
        entire_scene_as_clip: Whether a video without a cut is one scene.
        limit_clips: Clips of a video at most; 0 or less for all. A video that has as many is left as it is.
        verbose: Log a line for every video.
        limits: What a video may be at most.
    """

    detector: Detector = "content"
    threshold: float | None = None
    min_scene_frames: int = 15
    min_length_s: float | None = None
    max_length_s: float | None = None
    max_length_mode: Literal["stride", "truncate"] = "stride"
    crop_s: float | None = None
    entire_scene_as_clip: bool = True
    limit_clips: int = -1
    verbose: bool = False
    name: str = "scene_detection"
    limits: VideoLimits = field(default_factory=VideoLimits)

    def __post_init__(self) -> None:
        if self.detector not in ("content", "adaptive"):
            message = f"stage {self.name!r}: detector {self.detector!r} is not known; known: content, adaptive"
            raise OptionError(message)
        if self.min_scene_frames < 1 or (self.threshold is not None and self.threshold <= 0):
            message = f"stage {self.name!r}: min_scene_frames must be at least 1 and threshold above 0"
            raise OptionError(message)
        self._rules = SceneRules(
            self.min_length_s, self.max_length_s, self.max_length_mode, self.crop_s, self.entire_scene_as_clip
        )

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if PyAV or PySceneDetect is not installed."""
        require_av(f"stage {self.name!r}")
        require("scenedetect", extra="video", purpose=f"stage {self.name!r}")

    def process(self, task: VideoTask) -> VideoTask:
        """Set the video's clips. One that cannot be decoded to its end gets none, and ``errors["scene_detection"]``.

        Raises:
            ValueError: Nobody has read the video.
        """
        video = task.data
        if 0 < self.limit_clips <= len(video.clips) or not can_be_cut(video, self.name):
            return task
        try:
            cuts = find_cuts(
                video.source,
                detector=self.detector,
                threshold=self.threshold,
                min_scene_frames=self.min_scene_frames,
                limits=self.limits,
            )
        except (DataError, InputError) as error:
            _log.warning("stage %r: %s", self.name, error)
            video.errors["scene_detection"] = str(error)
            return task
        scenes = scenes_between((time for _, time in cuts), float(video.metadata.duration or 0))
        video.clips = clips_of(video, self._rules.apply(scenes), self.limit_clips)
        if self.verbose:
            _log.info("stage %r: %s: %d scenes, %d clips", self.name, video.input_path, len(scenes), len(video.clips))
        return task
