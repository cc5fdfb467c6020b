"""Filter clips by how pleasing a model finds their frames."""

from __future__ import annotations

from pathlib import Path

from nemo_curator.stages.video.filtering.frame_score_filter import ClipFrameScoreFilterStage, Reduction
from nemo_curator.stages.video.models.base import FrameScorer
from nemo_curator.stages.video.models.onnx import OnnxFrameScorer
from nemo_curator.tasks.video import Clip, Video

__all__ = ["ClipAestheticFilterStage"]

_MODEL = "aesthetic.onnx"


class ClipAestheticFilterStage(ClipFrameScoreFilterStage):
    """Keeps clips whose ``aesthetic_score`` is at least `score_threshold`.

    No package ships such a model. Put one as ``aesthetic.onnx``, which takes n x 3 x 224 x 224 normalized as for ImageNet and gives n scores,
    into `model_dir`, or pass any `FrameScorer`.

    Args:
        model_dir: Folder of the model.
        score_threshold: The least score that is kept.
        reduction: What the scores of frames become one by.
        target_fps: The rate at which frames were extracted.
        num_gpus_per_worker: Of no effect: the model runs on a CPU.
        verbose: Of no effect.
        scorer: Another model to ask.
    """

    error_key = "aesthetic_score"

    def __init__(
        self,
        model_dir: str = "models/clip_aesthetic",
        score_threshold: float = 0.5,
        reduction: Reduction = "min",
        target_fps: float = 1.0,
        num_gpus_per_worker: float = 0.25,
        verbose: bool = False,
        *,
        scorer: FrameScorer | None = None,
    ) -> None:
        super().__init__(
            scorer or OnnxFrameScorer(str(Path(model_dir) / _MODEL)),
            "aesthetic",
            min_score=score_threshold,
            reduction=reduction,
            target_fps=target_fps,
            name="clip_aesthetic_filter",
        )
        self.model_dir = model_dir
        self.score_threshold = score_threshold

    def process_clip(self, clip: Clip, video: Video) -> None:
        """Score a clip; the score has a place of its own."""
        super().process_clip(clip, video)
        clip.aesthetic_score = clip.frame_scores[self.score_name]

    def note_filtered(self, video: Video, count: int) -> None:
        """Count clips that were put aside."""
        video.clip_stats.num_filtered_by_aesthetic += count
