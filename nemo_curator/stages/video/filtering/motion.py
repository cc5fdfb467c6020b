"""How much moves in a video, as its codec saw it: motion vectors, read without comparing pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError
from nemo_curator.utils.video_files import VideoSource, open_video

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MotionData", "MotionScores", "NoMotionFrames", "TooSmall", "decode_motion", "motion_scores"]

_SMALLEST_SIDE = 256
_PATCH = 256
# Blocks of vectors are multiples of four pixels; a cell of 16 is what most of them are.
_CELL = 16


class TooSmall(DataError):
    """The frames are too small for patches of 256 pixels."""


class NoMotionFrames(DataError):
    """No frame has motion vectors: the codec does not hand them over, or there is only one picture."""


@dataclass(frozen=True)
class MotionData:
    """Motion of the frames of a clip that were looked at.

    Attributes:
        fields: For each frame and each cell of 16 x 16 pixels how far it lies from where it is in the picture that it is predicted from, as a part
            of the frame's width and height: n x rows x columns, float32.
        height: Of a frame, in pixels.
        width: Of a frame, in pixels.
    """

    fields: NDArray[np.float32]
    height: int
    width: int

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.fields.nbytes


@dataclass(frozen=True)
class MotionScores:
    """Two measures of motion.

    Attributes:
        global_mean: Mean over all cells and frames.
        per_patch_min_256: The least that any patch of 256 x 256 pixels moves, on the mean of frames. Near 0 where a part of the picture
            stands still, such as a border or a caption.
    """

    global_mean: float
    per_patch_min_256: float


def decode_motion(
    source: VideoSource, target_fps: float = 2.0, target_duration_ratio: float = 0.5, threads: int = 1
) -> MotionData:
    """Read the motion vectors of a video, about `target_fps` frames a second, from its middle part.

    A block's vector says how far it lies from where it is in the picture that it is predicted from, before or after. Blocks without one
    (they are coded anew) count as still, so a cut alone is no motion.

    Args:
        source: The video, in a codec that hands vectors over: H.264 or MPEG-4.
        target_fps: Frames to look at a second.
        target_duration_ratio: The part of the video to look at, in its middle.
        threads: Threads of the decoder.

    Raises:
        TooSmall: A side has fewer than 256 pixels.
        NoMotionFrames: No frame has vectors.
        DataError: The video cannot be decoded.
    """
    import numpy as np

    with open_video(source, threads=threads, motion_vectors=True) as video:
        height, width = video.stream.codec_context.height, video.stream.codec_context.width
        if min(height, width) < _SMALLEST_SIDE:
            message = (
                f"{video.name} has frames of {width} x {height}; motion is measured in patches of {_PATCH} x {_PATCH}"
            )
            raise TooSmall(message)
        frames = video.stream.frames or 0
        step = max(1, round((video.frame_rate or 25.0) / target_fps))
        skipped = int(frames * (1 - target_duration_ratio) / 2)
        stop = frames - skipped if frames else None
        fields: list[NDArray[np.float32]] = []
        due = skipped
        for number, (_, frame) in enumerate(video.frames()):
            if stop is not None and number >= stop and fields:
                break
            vectors = frame.side_data.get("MOTION_VECTORS")
            # Key frames have no vectors: the next one that has them stands for the moment.
            if number >= due and vectors is not None:
                fields.append(_field(vectors.to_ndarray(), height, width))
                due = number + step
        if not fields:
            message = f"{video.name} has no frame with motion vectors in {video.stream.codec_context.name}; encode clips with libx264 to have them"
            raise NoMotionFrames(message)
        return MotionData(np.stack(fields), height, width)


def _field(vectors: Any, height: int, width: int) -> NDArray[np.float32]:
    """Return how far the cells of a frame moved. Vectors of blocks are spread over the cells that the blocks cover."""
    import numpy as np

    rows, columns = -(-height // _CELL), -(-width // _CELL)
    scale = np.maximum(vectors["motion_scale"].astype(np.float32), 1.0)
    length = np.hypot(vectors["motion_x"] / scale / width, vectors["motion_y"] / scale / height)
    # `dst_x` and `dst_y` are the middle of a block; no block is larger than a cell, so each belongs to one, by its area.
    area = vectors["w"].astype(np.float32) * vectors["h"]
    row = np.clip(vectors["dst_y"] // _CELL, 0, rows - 1).astype(np.int64)
    column = np.clip(vectors["dst_x"] // _CELL, 0, columns - 1).astype(np.int64)
    cell, number = row * columns + column, rows * columns
    moved = np.bincount(cell, weights=length * area, minlength=number)
    covered = np.bincount(cell, weights=area, minlength=number)
    # Blocks predicted from two pictures have two vectors, of which the mean counts; what no vector covers stands still.
    return (moved / np.maximum(covered, _CELL * _CELL)).reshape(rows, columns).astype(np.float32)


def motion_scores(motion: MotionData) -> MotionScores:
    """Return how much moves, overall and where it is least."""
    import numpy as np

    mean = motion.fields.mean(axis=0)
    side = _PATCH // _CELL
    # Patches at the lower and right border are moved inwards, so that all have the same size.
    tops = sorted({min(top, mean.shape[0] - side) for top in range(0, mean.shape[0], side)})
    lefts = sorted({min(left, mean.shape[1] - side) for left in range(0, mean.shape[1], side)})
    patches = [mean[top : top + side, left : left + side].mean() for top in tops for left in lefts]
    return MotionScores(float(np.mean(motion.fields)), float(min(patches)))
