"""Filter clips by what any model says about their frames."""

from __future__ import annotations

from typing import Literal

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.video.clips import ClipStage, frames_of
from nemo_curator.stages.video.models.base import FrameScorer
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks.video import Clip, Video, VideoTask
from nemo_curator.utils.decoder_utils import FrameExtractionPolicy, FrameExtractionSignature

__all__ = ["ClipFrameScoreFilterStage", "Reduction"]

Reduction = Literal["min", "mean", "max"]


class ClipFrameScoreFilterStage(ClipStage):
    """Scores the frames of clips, and puts clips aside whose score is out of bounds. The score is in ``frame_scores[score_name]``.

    A clip without frames cannot be scored: it is put aside too, and its errors say why. What went is counted as ``<score_name>_low``,
    ``<score_name>_high`` and ``<score_name>_unknown``.

    Args:
        scorer: The model.
        score_name: What its score is called.
        min_score: The least that a clip must have; `None` for no bound.
        max_score: What a clip must stay below; `None` for no bound.
        reduction: What the scores of frames become one by: the least, the mean or the greatest.
        target_fps: The rate at which frames were extracted, see `ClipFrameExtractionStage`.
        score_only: Keep all clips.
        name: Name of the stage; made of the score's name by default.

    Raises:
        OptionError: The reduction is not known.
    """

    error_key = "frame_score"

    def __init__(
        self,
        scorer: FrameScorer,
        score_name: str = "score",
        *,
        min_score: float | None = None,
        max_score: float | None = None,
        reduction: Reduction = "mean",
        target_fps: float = 1.0,
        score_only: bool = False,
        name: str | None = None,
    ) -> None:
        if reduction not in ("min", "mean", "max"):
            message = f"reduction {reduction!r} of the scores of frames is not known; known: min, mean, max"
            raise OptionError(message)
        self.scorer = scorer
        self.score_name = score_name
        self.min_score = min_score
        self.max_score = max_score
        self.reduction = reduction
        self.score_only = score_only
        self.name = name or f"{score_name}_filter"
        self.resources = Resources(cpus=1.0)
        self._signature = FrameExtractionSignature(FrameExtractionPolicy.sequence, target_fps).to_str()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model."""
        self.scorer.setup()

    def process_clip(self, clip: Clip, video: Video) -> None:
        """Score a clip."""
        frames = frames_of(clip, self._signature, self.name)
        scores = self.scorer(frames)
        if scores.shape != (len(frames),):
            message = f"the model gave numbers of shape {scores.shape} for {len(frames)} frames"
            raise DataError(message)
        clip.frame_scores = {**clip.frame_scores, self.score_name: float(getattr(scores, self.reduction)())}

    def process(self, task: VideoTask) -> VideoTask:
        """Score the clips, and divide them."""
        task = super().process(task)
        if self.score_only:
            return task
        video = task.data
        verdicts = [self._why_not(clip) for clip in video.clips]
        gone = [clip for clip, why in zip(video.clips, verdicts, strict=True) if why]
        video.clips = [clip for clip, why in zip(video.clips, verdicts, strict=True) if not why]
        video.filtered_clips = [*video.filtered_clips, *gone]
        for why in sorted(filter(None, verdicts)):
            self.record_drops(f"{self.score_name}_{why}", 1)
        self.note_filtered(video, len(gone))
        return task

    def note_filtered(self, video: Video, count: int) -> None:
        """Count clips that were put aside; for subclasses whose count has a place in ``clip_stats``."""

    def _why_not(self, clip: Clip) -> str:
        score = clip.frame_scores.get(self.score_name)
        if score is None:
            return "unknown"
        if self.min_score is not None and not score >= self.min_score:
            return "low"
        return "high" if self.max_score is not None and not score < self.max_score else ""
