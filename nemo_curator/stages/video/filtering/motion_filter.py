"""Leave out clips in which nothing moves."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.video.clips import ClipStage
from nemo_curator.stages.video.filtering.motion import NoMotionFrames, TooSmall, decode_motion, motion_scores
from nemo_curator.tasks.video import Clip, Video, VideoTask

__all__ = ["MotionFilterStage", "MotionVectorDecodeStage"]

_log = logging.getLogger(__name__)

_UNKNOWN = -1.0


@dataclass
class MotionVectorDecodeStage(ClipStage):
    """Read the motion vectors of clips into ``decoded_motion_data``.

    What stands in a clip's ``errors["motion_decode"]`` where that fails: ``resolution_too_small`` (a side of fewer than 256 pixels),
    ``no_motion_frames`` (the codec hands no vectors over), ``decode_failed``.

    Attributes:
        num_cpus_per_worker: CPUs of a worker; the decoder gets as many threads.
        verbose: Of no effect.
        target_fps: Frames to look at a second.
        target_duration_ratio: The part of a clip to look at, in its middle.
    """

    num_cpus_per_worker: float = 1.0
    verbose: bool = False
    target_fps: float = 2.0
    target_duration_ratio: float = 0.5
    name: str = "motion_vector_decoding"

    error_key = "motion_decode"

    def __post_init__(self) -> None:
        if self.target_fps <= 0 or not 0 < self.target_duration_ratio <= 1:
            message = f"stage {self.name!r}: target_fps must be above 0 and target_duration_ratio above 0 and at most 1"
            raise OptionError(message)
        self.resources = Resources(cpus=self.num_cpus_per_worker)

    def process_clip(self, clip: Clip, video: Video) -> None:
        """Set ``decoded_motion_data``."""
        if not clip.buffer:
            self.note_error(clip, "buffer", "there is no motion to read: the clip was not encoded")
            return
        threads = max(1, int(self.num_cpus_per_worker))
        try:
            clip.decoded_motion_data = decode_motion(clip.buffer, self.target_fps, self.target_duration_ratio, threads)
        except TooSmall:
            self.note_error(clip, self.error_key, "resolution_too_small")
        except NoMotionFrames:
            self.note_error(clip, self.error_key, "no_motion_frames")
        except DataError as error:
            _log.warning("stage %r: clip %s: %s", self.name, clip.uuid, error)
            self.note_error(clip, self.error_key, "decode_failed")


@dataclass
class MotionFilterStage(ProcessingStage[VideoTask, VideoTask]):
    """Put clips in which little moves among the ``filtered_clips``. Wants what `MotionVectorDecodeStage` reads, and lets it go.

    A clip without motion data has scores of -1 and is put aside too: of it nobody knows that it moves.

    Attributes:
        score_only: Keep all clips, with their scores.
        global_mean_threshold: The least that the picture moves on the mean, from a frame to the one it is predicted from, as a part of
            its width and height.
        per_patch_min_256_threshold: The least that any patch of 256 x 256 pixels moves.
        num_gpus_per_worker: Of no effect: the scores take no time on a CPU.
        motion_filter_batch_size: Of no effect.
        verbose: Log a line for every clip.
    """

    score_only: bool = False
    global_mean_threshold: float = 0.00098
    per_patch_min_256_threshold: float = 0.000001
    num_gpus_per_worker: float = 0
    motion_filter_batch_size: int = 256
    verbose: bool = False
    name: str = "motion_filter"

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def process(self, task: VideoTask) -> VideoTask:
        """Score the clips, and divide them."""
        video = task.data
        for clip in video.clips:
            self._score(clip)
        if self.score_only:
            return task
        still = [clip for clip in video.clips if not self._moves(clip)]
        video.clips = [clip for clip in video.clips if self._moves(clip)]
        video.filtered_clips = [*video.filtered_clips, *still]
        video.clip_stats.num_filtered_by_motion += len(still)
        self.record_drops("motion_low", len(still))
        return task

    def _score(self, clip: Clip) -> None:
        motion, clip.decoded_motion_data = clip.decoded_motion_data, None
        if motion is None:
            clip.motion_score_global_mean = clip.motion_score_per_patch_min_256 = _UNKNOWN
            return
        scores = motion_scores(motion)
        clip.motion_score_global_mean, clip.motion_score_per_patch_min_256 = (
            scores.global_mean,
            scores.per_patch_min_256,
        )
        if self.verbose:
            _log.info("stage %r: clip %s: %s", self.name, clip.uuid, scores)

    def _moves(self, clip: Clip) -> bool:
        overall, least = clip.motion_score_global_mean, clip.motion_score_per_patch_min_256
        assert overall is not None
        assert least is not None
        return overall >= self.global_mean_threshold and least >= self.per_patch_min_256_threshold
