"""`WhisperXVADStage`: stretches of speech as long as a recogniser likes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.errors import OptionError
from nemo_curator.stages.audio.common.decoding import require_decoding
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.refusals import refused, task_name
from nemo_curator.stages.audio.common.waveforms import heard
from nemo_curator.stages.audio.segmentation.regions import RegionRules, speech_regions
from nemo_curator.stages.audio.segmentation.silero import FRAME_SAMPLES, SAMPLE_RATE, SileroVad
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import AudioTask

__all__ = ["WhisperXVADStage", "merged_regions"]


def merged_regions(regions: Sequence[tuple[float, float]], longest: float) -> list[list[tuple[float, float]]]:
    """Return neighbours together as long as they span no more than that, from the first on."""
    groups: list[list[tuple[float, float]]] = []
    for start, end in regions:
        if groups and end - groups[-1][0][0] <= longest:
            groups[-1].append((start, end))
        else:
            groups.append([(start, end)])
    return groups


@dataclass
class WhisperXVADStage(ProcessingStage[AudioTask, AudioTask]):
    """Write stretches of speech for a recogniser, cut and merged as WhisperX does it (Bain et al. 2023, arXiv 2303.00747).

    Speech that is too long is cut where speech is least likely, and neighbours are put together as long as there is room. Writes a list of
    objects with ``start`` and ``end`` in seconds; it is empty where nobody speaks. The detector is Silero VAD here, which comes in a package.
    A recording that cannot be used is dropped with its reason.

    Attributes:
        min_length: Shorter speech is passed over, in seconds.
        max_length: Longest stretch in seconds.
        vad_onset: Probability from which a frame of 32 ms is speech; it goes on until one is below it by 0.15.
        segments_key: Key for the list.
        audio_filepath_key: Key of the path; ``audio_filepath`` is taken where it is missing.
        model: The detector.
        limits: What is read of a file at most.
    """

    min_length: float = 0.5
    max_length: float = 40.0
    vad_onset: float = 0.5
    segments_key: str = "vad_segments"
    audio_filepath_key: str = "resampled_audio_filepath"
    name: str = "whisperx_vad"
    model: SileroVad = field(default_factory=SileroVad, kw_only=True)
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        if not 0 <= self.min_length < self.max_length:
            message = f"stage {self.name!r}: min_length must be less than max_length, and not negative"
            raise OptionError(message)
        if not 0 < self.vad_onset <= 1:
            message = f"stage {self.name!r}: vad_onset must be above 0 and at most 1, got {self.vad_onset}"
            raise OptionError(message)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the key of the list."""
        return ["data"], [self.segments_key]

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers: the model is loaded once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def check_before_run(self) -> None:
        """Raise `MissingExtra` or `InputError` if there is no detector."""
        require_decoding(self.name)
        self.model.locate()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model."""
        self.model.load()

    def process(self, task: AudioTask) -> AudioTask | None:
        """Return the task with its stretches."""
        keys = (self.audio_filepath_key, "audio_filepath")
        try:
            samples = heard(task.data, task_name(task), SAMPLE_RATE, filepath_keys=keys, limits=self.limits)
        except UnreadableAudio as error:
            return refused(self, task, error)
        frame = FRAME_SAMPLES / SAMPLE_RATE
        rules = RegionRules(self.vad_onset, 0.0, self.min_length / frame, self.max_length / frame, 0.0)
        regions = speech_regions(self.model.probabilities(samples), len(samples) / FRAME_SAMPLES, rules)
        merged = merged_regions([(start * frame, end * frame) for start, end in regions], self.max_length)
        task.data[self.segments_key] = [
            {"start": round(group[0][0], 3), "end": round(group[-1][1], 3)} for group in merged
        ]
        return task
