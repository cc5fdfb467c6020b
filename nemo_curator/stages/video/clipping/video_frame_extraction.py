"""All frames of a video, very small, for models that find shots."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.video.clipping.clip_extraction_stages import can_be_cut
from nemo_curator.tasks.video import VideoTask
from nemo_curator.utils.byte_sizes import format_bytes, parse_bytes_string_to_int
from nemo_curator.utils.video_files import VideoSource, open_video, require_av, rgb_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["VideoFrameExtractionStage", "all_frames"]

_log = logging.getLogger(__name__)


def all_frames(source: VideoSource, size: tuple[int, int], most_bytes: int) -> NDArray[np.uint8]:
    """Return all frames of a video, made small: n x height x width x 3, uint8, RGB.

    Args:
        source: The video.
        size: Height and width.
        most_bytes: What the result may take.

    Raises:
        InputError: There is no such file.
        DataError: The video cannot be decoded to its end, or its frames would take more.
    """
    import numpy as np

    most = max(1, most_bytes // (size[0] * size[1] * 3))
    frames: list[NDArray[np.uint8]] = []
    with open_video(source) as video:
        for _, frame in video.frames():
            if len(frames) == most:
                message = f"{video.name} has more than {most} frames, which take {format_bytes(most_bytes)} already; cut it first, or raise max_bytes"
                raise DataError(message)
            frames.append(rgb_array(frame, size))
    return np.stack(frames) if frames else np.zeros((0, *size, 3), np.uint8)


@dataclass
class VideoFrameExtractionStage(ProcessingStage[VideoTask, VideoTask]):
    """Decode every frame of a video into ``frame_array``. A video that cannot be decoded gets none, and ``errors["frame_extraction"]``.

    Attributes:
        output_hw: Height and width of the frames.
        pyncv_batch_size: Of no effect: it is about decoding on a GPU.
        decoder_mode: Must be ``"ffmpeg_cpu"``: decoding is done in software.
        ray_data_num_cpus: Of no effect.
        max_bytes: What the frames of one video may take, as a number or like ``"1GiB"``.
    """

    output_hw: tuple[int, int] = (27, 48)
    pyncv_batch_size: int = 64
    decoder_mode: Literal["pynvc", "ffmpeg_cpu", "ffmpeg_gpu"] = "ffmpeg_cpu"
    ray_data_num_cpus: float | None = None
    name: str = "video_frame_extraction"
    max_bytes: int | str = "1GiB"

    def __post_init__(self) -> None:
        if self.decoder_mode != "ffmpeg_cpu":
            message = f"stage {self.name!r}: decoder_mode {self.decoder_mode!r} is not supported, videos are decoded in software; take 'ffmpeg_cpu'"
            raise OptionError(message)
        self._most = parse_bytes_string_to_int(self.max_bytes)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if PyAV is not installed."""
        require_av(f"stage {self.name!r}")

    def process(self, task: VideoTask) -> VideoTask:
        """Set ``frame_array``.

        Raises:
            ValueError: Nobody has read the video.
        """
        video = task.data
        if not can_be_cut(video, self.name):
            return task
        try:
            video.frame_array = all_frames(video.source, self.output_hw, self._most)
        except (DataError, InputError) as error:
            _log.warning("stage %r: %s", self.name, error)
            video.errors["frame_extraction"] = str(error)
        return task
