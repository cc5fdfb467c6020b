"""`PyAnnoteDiarizationStage` and `InferenceSortformerStage`: who speaks when, as segments of an entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nemo_curator.errors import OptionError
from nemo_curator.stages.audio.common.decoding import require_decoding
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.refusals import refused, task_name
from nemo_curator.stages.audio.common.waveforms import heard
from nemo_curator.stages.audio.inference.speaker_diarization.pyannote import PyannoteDiarizer
from nemo_curator.stages.audio.segmentation.speakers import Diarizer, SortformerDiarizer
from nemo_curator.stages.audio.segmentation.turns import overlaps_of
from nemo_curator.stages.audio.tagging.merge import add_non_speaker_segments
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import AudioTask

__all__ = ["DiarizationStage", "InferenceSortformerStage", "PyAnnoteDiarizationStage"]


class DiarizationStage(ProcessingStage[AudioTask, AudioTask]):
    """Writes who speaks when: ``segments``, each with ``speaker``, ``start`` and ``end`` in seconds, in order; they may overlap.

    The silences between are segments of the speaker ``no-speaker``, see `add_non_speaker_segments`. ``overlap_segments`` has the spans in
    which several speak, with ``start`` and ``end``. A recording that cannot be used is dropped with its reason. Subclasses have the
    attributes of `PyAnnoteDiarizationStage` that are named here.
    """

    audio_filepath_key: str
    min_length: float
    fill_gaps: bool
    limits: AudioLimits = DEFAULT_LIMITS
    _diarizer: Diarizer

    def _check_options(self) -> None:
        if not self.min_length >= 0:
            message = f"stage {self.name!r}: min_length must not be negative, got {self.min_length}"
            raise OptionError(message)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what is written."""
        return ["data"], ["segments", "overlap_segments"]

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers: the model is loaded once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def check_before_run(self) -> None:
        """Raise if packages or the model are missing."""
        require_decoding(self.name)
        self._diarizer.check()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model."""
        self._diarizer.load()

    def process(self, task: AudioTask) -> AudioTask | None:
        """Return the task with its segments."""
        keys = (self.audio_filepath_key, "audio_filepath")
        rate = self._diarizer.sample_rate
        try:
            samples = heard(task.data, task_name(task), rate, filepath_keys=keys, limits=self.limits)
        except UnreadableAudio as error:
            return refused(self, task, error)
        turns = [turn for turn in self._diarizer.turns(samples) if turn.end - turn.start >= self.min_length]
        turns.sort(key=lambda turn: (turn.start, turn.end, turn.speaker))
        segments = [
            {"speaker": turn.speaker, "start": round(turn.start, 3), "end": round(turn.end, 3)} for turn in turns
        ]
        seconds = round(len(samples) / rate, 3)
        task.data["segments"] = add_non_speaker_segments(segments, seconds) if self.fill_gaps else segments
        task.data["overlap_segments"] = [
            {"start": round(start, 3), "end": round(end, 3)} for start, end in overlaps_of(turns)
        ]
        return task


@dataclass
class PyAnnoteDiarizationStage(DiarizationStage):
    """Tell who speaks when with pyannote.audio; see `DiarizationStage` for what is written.

    No package ships its models: without pyannote.audio the run does not begin, and the message says what to install.

    Attributes:
        model_name: The folder or the ``config.yaml`` of a pipeline, or a name on the hub.
        hf_token: Token of the hub.
        num_speakers: How many speak, if that is known.
        audio_filepath_key: Key of the path; ``audio_filepath`` is taken where it is missing.
        min_length: Shorter turns are left out, in seconds.
        fill_gaps: Whether silences become segments.
        model: A `Diarizer`, instead of `model_name`: ``PyannoteDiarizer(name, device="cuda")`` for a GPU.
        limits: What is read of a file at most.
    """

    model_name: str = "pyannote/speaker-diarization-3.1"
    hf_token: str | None = field(default=None, repr=False)
    num_speakers: int | None = None
    audio_filepath_key: str = "resampled_audio_filepath"
    min_length: float = 0.0
    fill_gaps: bool = True
    name: str = "pyannote_diarization"
    model: Diarizer | None = field(default=None, kw_only=True)
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        self._check_options()
        self._diarizer = self.model or PyannoteDiarizer(self.model_name, self.hf_token, self.num_speakers)


@dataclass
class InferenceSortformerStage(DiarizationStage):
    """Tell who speaks when with Sortformer and NVIDIA's NeMo toolkit; see `DiarizationStage` for what is written.

    Attributes:
        model_name: A file ``.nemo``, or a name on the hub.
        audio_filepath_key: Key of the path; ``audio_filepath`` is taken where it is missing.
        min_length: Shorter turns are left out, in seconds.
        fill_gaps: Whether silences become segments.
        model: A `Diarizer`, instead of `model_name`.
        limits: What is read of a file at most.
    """

    model_name: str = "nvidia/diar_sortformer_4spk-v1"
    audio_filepath_key: str = "resampled_audio_filepath"
    min_length: float = 0.0
    fill_gaps: bool = True
    name: str = "sortformer_diarization"
    model: Diarizer | None = field(default=None, kw_only=True)
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        self._check_options()
        self._diarizer = self.model or SortformerDiarizer(self.model_name)
