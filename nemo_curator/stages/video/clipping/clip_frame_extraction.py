"""Frames of clips at given rates, for stages that look at pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.video.clips import ClipStage
from nemo_curator.tasks.video import Clip, Video
from nemo_curator.utils.decoder_utils import (
    FrameExtractionPolicy,
    FrameExtractionSignature,
    FramePurpose,
    decode_at_rates,
    extract_frames,
)

__all__ = ["ClipFrameExtractionStage"]

_DEFAULT_RATES = (2.0,)


@dataclass
class ClipFrameExtractionStage(ClipStage):
    """Decode each clip once and keep frames of it, as uint8 RGB arrays n x height x width x 3 in ``extracted_frames``.

    The key is the signature, such as ``FrameExtractionPolicy.sequence-2000``: the policy, and frames in a thousand seconds. At a rate
    the frames nearest to evenly spaced moments are taken, also where frames come at a varying rate.

    Attributes:
        extraction_policies: Which frames: at a rate (``sequence``), or the ``first``, ``middle`` or ``last`` one.
        extract_purposes: What frames are for; each says its rate.
        target_res: Height and width of the frames; the clip's own by default. Frames at full size take much memory.
        verbose: Of no effect.
        num_cpus: CPUs of a worker; the decoder gets as many threads.
        target_fps: Rates, instead of those of the purposes; 2 if there are neither.
    """

    extraction_policies: tuple[FrameExtractionPolicy, ...] = (FrameExtractionPolicy.sequence,)
    extract_purposes: Sequence[FramePurpose] | None = None
    target_res: tuple[int, int] | None = None
    verbose: bool = False
    num_cpus: float = 1
    target_fps: Sequence[float] | None = None
    name: str = "clip_frame_extraction"

    error_key = "frame_extraction"

    def __post_init__(self) -> None:
        purposes = [purpose.value for purpose in self.extract_purposes or ()]
        self._rates = sorted({float(rate) for rate in self.target_fps or purposes or _DEFAULT_RATES})
        if not all(rate > 0 for rate in self._rates):
            message = f"stage {self.name!r}: frames can be taken at rates above 0 a second, got {self._rates}"
            raise OptionError(message)
        if self.target_res is not None and (len(self.target_res) != 2 or min(self.target_res) < 1):
            message = f"stage {self.name!r}: target_res must be height and width in pixels, got {self.target_res!r}"
            raise OptionError(message)
        self.resources = Resources(cpus=self.num_cpus)

    def process_clip(self, clip: Clip, video: Video) -> None:
        """Fill ``extracted_frames``. Without a buffer there is ``errors["buffer"]``; a buffer that cannot be decoded is let go."""
        if not clip.buffer:
            self.note_error(clip, "buffer", "there is nothing to take frames from: the clip was not encoded")
            return
        threads = max(1, int(self.num_cpus))
        found: dict[str, Any] = {}
        try:
            for policy in self.extraction_policies:
                if policy is FrameExtractionPolicy.sequence:
                    taken = decode_at_rates(clip.buffer, self._rates, num_threads=threads, size=self.target_res)
                else:
                    one = extract_frames(clip.buffer, policy, target_res=self.target_res, num_threads=threads)
                    taken = dict.fromkeys(self._rates, one)
                found |= {FrameExtractionSignature(policy, rate).to_str(): frames for rate, frames in taken.items()}
        except DataError:
            clip.buffer = None
            raise
        clip.extracted_frames = {**clip.extracted_frames, **found}
