"""`GetAudioDurationStage`: how long a file is."""

from __future__ import annotations

from dataclasses import dataclass, field

from nemo_curator.errors import require
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits
from nemo_curator.stages.audio.common.waveforms import get_audio_duration
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask

__all__ = ["GetAudioDurationStage"]


@dataclass
class GetAudioDurationStage(ProcessingStage[AudioTask, AudioTask]):
    """Write the length of every file, in seconds; -1.0, with a warning, for one that cannot be read.

    `PreserveByValueStage` with ``"duration", 0, "gt"`` takes those out.

    Attributes:
        audio_filepath_key: Key of the path.
        duration_key: Key for the length.
        limits: What is read at most; a longer file counts as unreadable.
    """

    name: str = "get_audio_duration"
    audio_filepath_key: str = "audio_filepath"
    duration_key: str = "duration"
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the key of the path."""
        return ["data"], [self.audio_filepath_key]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the key of the length."""
        return ["data"], [self.duration_key]

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if nothing reads audio."""
        require("soundfile", extra="audio", purpose=f"stage {self.name!r}")

    def process(self, task: AudioTask) -> AudioTask:
        """Return the task with its length."""
        task.data[self.duration_key] = get_audio_duration(str(task.data[self.audio_filepath_key]), limits=self.limits)
        return task
