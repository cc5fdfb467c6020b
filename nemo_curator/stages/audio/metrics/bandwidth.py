"""`BandwidthEstimationStage`: up to which frequency there is sound in a recording or its segments."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import OptionError, require
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.refusals import refused, task_name
from nemo_curator.stages.audio.common.waveforms import ensure_mono, usable_waveform
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["BandwidthEstimationStage", "bandwidth_of"]


def bandwidth_of(samples: Waveform, rate: int, *, n_fft: int = 512, threshold_db: float = -60.0) -> int:
    """Return the highest frequency in Hz at which there is sound; 0 for silence.

    In the mean power of all windows (Blackman, half of each overlaps the next) it is the upper edge of the highest line that is no more than
    the threshold below the strongest.

    Args:
        samples: One channel, float32 of shape ``(samples,)``.
        rate: Its sample rate in Hz.
        n_fft: Samples in a window.
        threshold_db: How far below the strongest line, in decibels.
    """
    import numpy as np
    from numpy.lib.stride_tricks import sliding_window_view

    padded = np.pad(samples, (0, max(0, n_fft - len(samples))))
    frames = sliding_window_view(padded, n_fft)[:: n_fft // 2]
    window = np.blackman(n_fft).astype(np.float32)
    power = np.zeros(n_fft // 2 + 1)
    for start in range(0, len(frames), 4096):
        power += (np.abs(np.fft.rfft(frames[start : start + 4096] * window, axis=1)) ** 2).sum(axis=0)
    strongest = power.max()
    if not strongest > 0:
        return 0
    highest = int(np.nonzero(power >= strongest * 10 ** (threshold_db / 10))[0][-1])
    return min(round((highest + 0.5) * rate / n_fft), rate // 2)


@dataclass
class BandwidthEstimationStage(ProcessingStage[AudioTask, AudioTask]):
    """Write the bandwidth in Hz under ``metrics.bandwidth``, of every segment of an entry that has ``segments``, and of the entry otherwise.

    Files that were once at a lower rate, or went through a codec, have less of it than their sample rate allows, see `bandwidth_of`. A segment
    without sound in the recording gets 0. A recording that cannot be used is dropped with its reason. `ALMDataBuilderStage` wants the number.

    Attributes:
        threshold_db: What is so far below the strongest frequency does not count, in decibels.
        n_fft: Samples in a window; its length says how fine frequencies are told.
        audio_filepath_key: Key of the path; ``audio_filepath`` is taken where it is missing.
        limits: What is read of a file at most.
    """

    threshold_db: float = -60.0
    n_fft: int = 512
    audio_filepath_key: str = "audio_filepath"
    name: str = "bandwidth_estimation"
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        if not self.threshold_db < 0 or self.n_fft < 16:
            message = f"stage {self.name!r}: threshold_db must be negative, and n_fft at least 16"
            raise OptionError(message)

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if nothing reads audio."""
        require("soundfile", extra="audio", purpose=f"stage {self.name!r}")

    def process(self, task: AudioTask) -> AudioTask | None:
        """Return the task with its bandwidths."""
        try:
            samples, rate = self._sound(task)
        except UnreadableAudio as error:
            return refused(self, task, error)
        segments = task.data.get("segments")
        if segments is None:
            self._write(task.data, samples, rate)
        for segment in segments or ():
            self._write(segment, samples[int(segment["start"] * rate) : int(segment["end"] * rate)], rate)
        return task

    def _sound(self, task: AudioTask) -> tuple[Waveform, int]:
        from nemo_curator.stages.audio.common.decoding import read_audio

        data = task.data
        path = data.get(self.audio_filepath_key) or data.get("audio_filepath")
        if data.get("waveform") is None and not path:
            message = f"{task_name(task)} has neither 'waveform' nor a path in {self.audio_filepath_key!r}"
            raise UnreadableAudio(message, "missing")
        if data.get("waveform") is None:
            waveform, rate = read_audio(str(path), limits=self.limits)
        else:
            given = (data["waveform"], data.get("sample_rate"))
            waveform, rate = usable_waveform(*given, task_name(task), limits=self.limits)
        return ensure_mono(waveform)[0], rate

    def _write(self, item: MutableMapping[str, Any], samples: Waveform, rate: int) -> None:
        found = bandwidth_of(samples, rate, n_fft=self.n_fft, threshold_db=self.threshold_db) if len(samples) else 0
        item["metrics"] = {**(item.get("metrics") or {}), "bandwidth": found}
