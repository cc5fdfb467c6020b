"""`ResampleAudioStage`: recordings as files of one rate, format and number of channels."""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.errors import OptionError, OutputError
from nemo_curator.stages.audio.common.decoding import require_decoding
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.places import absolute, check_writable, require_text
from nemo_curator.stages.audio.common.refusals import refused
from nemo_curator.stages.audio.common.waveforms import resample
from nemo_curator.stages.audio.io.extraction import FORMATS
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask
from nemo_curator.utils.output_manifest import OutputFolder

__all__ = ["ResampleAudioStage"]


@dataclass
class ResampleAudioStage(ProcessingStage[AudioTask, AudioTask]):
    """Write every recording anew, at one rate; no FFmpeg program is needed.

    The file is called ``<name of the recording>_<8 digits of the SHA-256 of its path>``; that is ``audio_item_id`` too. One that is there, of
    the right format, is not written again. Adds ``resampled_audio_filepath``, ``audio_item_id`` and ``duration`` in seconds. A recording
    that cannot be used is dropped with its reason.

    Attributes:
        resampled_audio_dir: The folder.
        input_format: Not looked at: content says what a file is.
        target_sample_rate: In Hz.
        target_format: ``"wav"`` (16 bits), ``"flac"`` or ``"ogg"`` (Vorbis).
        target_nchannels: 1 averages the channels; more are only taken from recordings that have as many.
        audio_filepath_key: Key of the path.
        limits: What is read of a file at most.
    """

    resampled_audio_dir: str
    input_format: str = "wav"
    target_sample_rate: int = 16000
    target_format: str = "wav"
    target_nchannels: int = 1
    audio_filepath_key: str = "audio_filepath"
    name: str = "resample_audio"
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        require_text(self.name, resampled_audio_dir=self.resampled_audio_dir)
        if self.target_format not in FORMATS:
            message = (
                f"stage {self.name!r}: target_format {self.target_format!r} is not known; known: {', '.join(FORMATS)}"
            )
            raise OptionError(message)
        if self.target_sample_rate <= 0 or self.target_nchannels <= 0:
            message = f"stage {self.name!r}: target_sample_rate and target_nchannels must be above 0"
            raise OptionError(message)
        self._folder = OutputFolder(absolute(self.resampled_audio_dir))

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the key of the path."""
        return ["data"], [self.audio_filepath_key]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what is written."""
        return ["data"], ["resampled_audio_filepath", "audio_item_id", "duration"]

    def check_before_run(self) -> None:
        """Raise `OutputError` if the folder cannot be written, `MissingExtra` if packages are missing."""
        require_decoding(self.name)
        check_writable(self.name, self._folder.path)

    def process(self, task: AudioTask) -> AudioTask | None:
        """Return the task with its new file.

        Raises:
            OutputError: The file cannot be written.
        """
        path = str(task.data[self.audio_filepath_key])
        stem = os.path.splitext(posixpath.basename(path))[0]
        item = f"{stem}_{hashlib.sha256(path.encode()).hexdigest()[:8]}"
        name = f"{item}.{self.target_format}"
        try:
            seconds = self._there(self._folder.url(name))
            if seconds is None:
                seconds = self._write(path, name)
        except UnreadableAudio as error:
            return refused(self, task, error)
        except OSError as error:
            message = f"stage {self.name!r}: cannot write {self._folder.url(name)}: {error.strerror or error}"
            raise OutputError(message) from error
        task.data.update(resampled_audio_filepath=self._folder.url(name), audio_item_id=item, duration=seconds)
        return task

    def _there(self, path: str) -> float | None:
        """Return the length of a file that was written before; files appear complete, so its header can be believed."""
        from nemo_curator.stages.audio.common.decoding import audio_info

        try:
            info = audio_info(path, limits=self.limits)
        except UnreadableAudio:
            return None
        fits = (info.sample_rate, info.channels) == (self.target_sample_rate, self.target_nchannels)
        return info.seconds if fits else None

    def _write(self, path: str, name: str) -> float:
        import soundfile  # pyright: ignore[reportMissingImports] - an extra

        from nemo_curator.stages.audio.common.decoding import read_audio

        waveform, rate = read_audio(path, mono=self.target_nchannels == 1, limits=self.limits)
        if len(waveform) != self.target_nchannels:
            message = f"{path} has {len(waveform)} channels, wanted are {self.target_nchannels}"
            raise UnreadableAudio(message, "channels")
        samples: Any = resample(waveform, rate, self.target_sample_rate)
        kind, subtype = FORMATS[self.target_format]
        content = io.BytesIO()
        soundfile.write(content, samples.T, self.target_sample_rate, format=kind, subtype=subtype)
        with self._folder.writing(name) as handle:
            handle.write(content.getvalue())
        return samples.shape[1] / self.target_sample_rate
