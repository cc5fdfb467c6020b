"""`MonoConversionStage`: files become waveforms of one channel."""

from __future__ import annotations

from dataclasses import dataclass, field

from nemo_curator.errors import OptionError, require
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.refusals import refused
from nemo_curator.stages.audio.common.waveforms import resample
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask

__all__ = ["MonoConversionStage"]


@dataclass
class MonoConversionStage(ProcessingStage[AudioTask, AudioTask]):
    """Read every file, average its channels, and keep the waveform in the entry.

    A file that cannot be used is dropped with its reason: ``missing``, ``unreadable``, ``empty``, ``not_finite``, ``too_long``,
    ``too_large``; with `strict_sample_rate` also one of another rate, as ``sample_rate``.

    Writes ``waveform`` (float32, shape ``(1, samples)``), ``sample_rate``, ``is_mono``, ``duration`` in seconds and ``num_samples``.

    Attributes:
        output_sample_rate: The wanted rate, in Hz.
        audio_filepath_key: Key of the path.
        strict_sample_rate: Take files of that rate only; otherwise others are resampled.
        limits: What is read at most.
    """

    output_sample_rate: int = 48000
    audio_filepath_key: str = "audio_filepath"
    strict_sample_rate: bool = True
    name: str = "MonoConversion"
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        if self.output_sample_rate <= 0:
            message = f"stage {self.name!r}: output_sample_rate must be above 0, got {self.output_sample_rate}"
            raise OptionError(message)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the key of the path."""
        return ["data"], [self.audio_filepath_key]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what is written."""
        return ["data"], ["waveform", "sample_rate", "is_mono", "duration", "num_samples"]

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if nothing reads or resamples audio."""
        require("soundfile", extra="audio", purpose=f"stage {self.name!r}")
        if not self.strict_sample_rate:
            require("scipy", extra="audio", purpose=f"stage {self.name!r}")

    def process(self, task: AudioTask) -> AudioTask | None:
        """Return the task with its waveform, or that it was dropped."""
        from nemo_curator.stages.audio.common.decoding import read_audio

        path = str(task.data[self.audio_filepath_key])
        try:
            waveform, rate = read_audio(path, mono=True, limits=self.limits)
            if rate != self.output_sample_rate and self.strict_sample_rate:
                message = f"{path} has {rate} Hz, wanted are {self.output_sample_rate}; strict_sample_rate=False would resample it"
                raise UnreadableAudio(message, "sample_rate")
        except UnreadableAudio as error:
            return refused(self, task, error)
        waveform = resample(waveform, rate, self.output_sample_rate)
        samples = waveform.shape[1]
        task.data.update(
            waveform=waveform,
            sample_rate=self.output_sample_rate,
            is_mono=True,
            duration=samples / self.output_sample_rate,
            num_samples=samples,
        )
        return task
