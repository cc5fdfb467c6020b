"""Windows of clips, and what a model is shown of each."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemo_curator.errors import DataError, OptionError, did_you_mean, require
from nemo_curator.stages.video.clips import ClipStage, window_frames
from nemo_curator.tasks.video import Clip, Video, _Window
from nemo_curator.utils.decoder_utils import get_video_timestamps
from nemo_curator.utils.video_files import require_av
from nemo_curator.utils.windowing_utils import compute_windows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PROMPTS", "CaptionPreparationStage"]

PROMPTS = {
    "default": "These pictures are frames of one video, in order. Describe in detail what happens in it: the place, who or what is there, "
    "how it moves and changes, and how the camera moves. Do not mention that they are frames.",
    "short": "These pictures are frames of one video, in order. Say in one sentence what happens in it.",
}


@dataclass
class CaptionPreparationStage(ClipStage):
    """Divide clips into windows and take frames of each, as JPEG, with the prompt: ``llm_inputs[model_variant]``.

    A clip of fewer than four frames gets no window.

    Attributes:
        model_variant: The name that captions are kept under.
        prompt_variant: ``"default"`` or ``"short"``.
        prompt_text: A prompt of your own instead.
        sampling_fps: Frames to show a second.
        window_size: Frames of a window.
        remainder_threshold: The smallest rest that is a window of its own.
        preprocess_dtype: Of no effect: models get pictures.
        model_does_preprocess: Of no effect.
        generate_previews: Of no effect: `PreviewStage` takes its pictures from the clip.
        verbose: Of no effect.
        max_frames: Frames of a window to show at most; evenly spaced ones of those are left out.
        frame_height: Height of the pictures; the width follows. Smaller frames stay as they are.
    """

    model_variant: str = "qwen2.5"
    prompt_variant: str = "default"
    prompt_text: str | None = None
    sampling_fps: float = 2.0
    window_size: int = 256
    remainder_threshold: int = 128
    preprocess_dtype: str = "float32"
    model_does_preprocess: bool = False
    generate_previews: bool = True
    verbose: bool = False
    name: str = "caption_preparation"
    max_frames: int = 32
    frame_height: int = 336

    error_key = "caption_preparation"

    def __post_init__(self) -> None:
        if self.prompt_text is None and self.prompt_variant not in PROMPTS:
            message = f"stage {self.name!r}: prompt_variant {self.prompt_variant!r} is not known; known: {', '.join(PROMPTS)}.{did_you_mean(self.prompt_variant, PROMPTS)}"
            raise OptionError(message)
        for option in ("sampling_fps", "window_size", "max_frames", "frame_height"):
            if getattr(self, option) <= 0:
                message = f"stage {self.name!r}: {option} must be above 0, got {getattr(self, option)}"
                raise OptionError(message)

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if PyAV or Pillow is not installed."""
        require_av(f"stage {self.name!r}")
        require("PIL", extra="video", purpose=f"stage {self.name!r}")

    def process_clip(self, clip: Clip, video: Video) -> None:
        """Set the windows, with what the model gets; windows that are there are used."""
        if not clip.buffer:
            message = "there is nothing to describe: the clip was not encoded"
            raise DataError(message)
        if not clip.windows:
            frames = len(get_video_timestamps(clip.buffer))
            found = compute_windows(frames, self.window_size, self.remainder_threshold)
            clip.windows = [_Window(window.start, window.end) for window in found]
        prompt = self.prompt_text or PROMPTS[self.prompt_variant]
        for window, images in zip(clip.windows, self._images(clip.buffer, clip.windows), strict=True):
            window.llm_inputs = {**window.llm_inputs, self.model_variant: {"prompt": prompt, "images": images}}

    def _images(self, buffer: bytes, windows: list[_Window]) -> list[list[bytes]]:
        """Return pictures for each window, decoding the clip once."""
        found: list[list[bytes]] = [[] for _ in windows]
        for index, frame in window_frames(buffer, windows, self.sampling_fps, self.frame_height):
            found[index].append(_jpeg(frame))
        return [_thinned(pictures, self.max_frames) for pictures in found]


def _jpeg(frame: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    sink = io.BytesIO()
    Image.fromarray(frame).save(sink, "JPEG", quality=85)
    return sink.getvalue()


def _thinned(pictures: list[bytes], most: int) -> list[bytes]:
    if len(pictures) <= most:
        return pictures
    if most == 1:
        return pictures[:1]
    return [pictures[round(index * (len(pictures) - 1) / (most - 1))] for index in range(most)]
