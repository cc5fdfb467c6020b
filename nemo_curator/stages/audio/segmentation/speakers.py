"""`SpeakerSeparationStage`: an entry for every speaker of a recording."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import MissingExtra, OptionError, require
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.refusals import dropped, refused, task_name
from nemo_curator.stages.audio.common.waveforms import ensure_mono, resample, waveform_of
from nemo_curator.stages.audio.segmentation.turns import Turn, clean_turns
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import AudioTask

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["Diarizer", "SortformerDiarizer", "SpeakerSeparationStage"]


class Diarizer(ABC):
    """Tells who speaks when. Built in the driver, where it must stay small and picklable; loaded in each worker.

    Attributes:
        sample_rate: What it hears, in Hz.
    """

    sample_rate: int = 16000

    def check(self) -> None:  # noqa: B027 - there may be nothing to look for
        """Look whether packages and files are there. Raise a `CuratorError` that says what is missing."""

    @abstractmethod
    def load(self) -> None:
        """Load the model, if it is not."""

    @abstractmethod
    def turns(self, samples: Waveform) -> list[Turn]:
        """Return who speaks when in one channel, float32 of shape ``(samples,)``."""


class SortformerDiarizer(Diarizer):
    """Sortformer (Park et al. 2024, arXiv 2409.06656) through NVIDIA's NeMo toolkit, which no extra of this package brings.

    Args:
        model: A file ``.nemo``, or a name on the hub.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self._loaded: Any = None

    def check(self) -> None:
        """Look whether NeMo is there."""
        from importlib.util import find_spec

        if find_spec("nemo") is None:
            message = (
                f"separating speakers with {self.model} needs NVIDIA's NeMo toolkit and its torch: pip install 'nemo_toolkit[asr]'; or bring a "
                "Diarizer of your own as model="
            )
            raise MissingExtra(message, name="nemo")

    def load(self) -> None:
        """Load the model; a name that is no file is fetched from the hub."""
        if self._loaded is not None:
            return
        self.check()
        from nemo.collections.asr.models import SortformerEncLabelModel  # pyright: ignore[reportMissingImports] - no extra

        is_file = os.path.isfile(self.model)
        make = SortformerEncLabelModel.restore_from if is_file else SortformerEncLabelModel.from_pretrained
        self._loaded = make(self.model).eval()

    def turns(self, samples: Waveform) -> list[Turn]:
        """Return who speaks when; the model reads a file, which is made for it."""
        self.load()
        import soundfile  # pyright: ignore[reportMissingImports] - an extra

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "recording.wav")
            soundfile.write(path, samples, self.sample_rate, subtype="FLOAT")
            lines = self._loaded.diarize(audio=[path], batch_size=1)[0]
        fields = [str(line).split() for line in lines]
        return [Turn(float(start), float(end), speaker) for start, end, speaker in fields]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_loaded": None}


@dataclass
class SpeakerSeparationStage(ProcessingStage[AudioTask, AudioTask]):
    """Make an entry of every speaker in a recording: the same waveform, silent where the speaker is.

    Adds ``speaker_id``, ``num_speakers``, ``diar_segments`` (pairs of seconds) and ``speaking_duration`` in seconds. Times stay those of
    the recording, so that segments found in it are mapped back like any. One in which nobody speaks is dropped as ``no_speakers``.

    Attributes:
        model_path: A Sortformer model, a file ``.nemo`` or a name on the hub, for NVIDIA's NeMo toolkit.
        exclude_overlaps: Leave out where several speak at a time, and `buffer_time` around it.
        min_duration: Shorter turns are left out, in seconds.
        gap_threshold: A shorter pause of a speaker is none, in seconds.
        buffer_time: See `exclude_overlaps`, in seconds.
        model: A `Diarizer`, instead of `model_path`.
        limits: What is read of a file at most.
    """

    model_path: str = "nvidia/diar_sortformer_4spk-v1"
    exclude_overlaps: bool = True
    min_duration: float = 0.8
    gap_threshold: float = 0.1
    buffer_time: float = 0.5
    name: str = "SpeakerSeparation"
    model: Diarizer | None = field(default=None, kw_only=True)
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    resources = Resources(cpus=1.0)

    def __post_init__(self) -> None:
        for option in ("min_duration", "gap_threshold", "buffer_time"):
            if not getattr(self, option) >= 0:
                message = f"stage {self.name!r}: {option} must not be negative, got {getattr(self, option)}"
                raise OptionError(message)
        self._diarizer = self.model or SortformerDiarizer(self.model_path)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what is written."""
        return ["data"], ["waveform", "sample_rate", "speaker_id", "num_speakers", "diar_segments", "speaking_duration"]

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers: the model is loaded once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def check_before_run(self) -> None:
        """Raise if packages or the model are missing."""
        require("scipy", extra="audio", purpose=f"stage {self.name!r}")
        self._diarizer.check()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model."""
        self._diarizer.load()

    def process(self, task: AudioTask) -> list[AudioTask] | AudioTask | None:
        """Return an entry for every speaker, or that there is none."""
        import numpy as np

        try:
            waveform, rate = waveform_of(task.data, task_name(task), mono=False, limits=self.limits)
        except UnreadableAudio as error:
            return refused(self, task, error)
        found = clean_turns(
            self._diarizer.turns(resample(ensure_mono(waveform), rate, self._diarizer.sample_rate)[0]),
            total=waveform.shape[1] / rate,
            exclude_overlaps=self.exclude_overlaps,
            gap=self.gap_threshold,
            buffer=self.buffer_time,
            shortest=self.min_duration,
        )
        entries: list[AudioTask] = []
        for speaker, spans in found.items():
            own = np.zeros_like(waveform)
            for start, end in spans:
                part = slice(int(start * rate), int(end * rate))
                own[:, part] = waveform[:, part]
            data = {
                **task.data,
                "waveform": own,
                "speaker_id": speaker,
                "num_speakers": len(found),
                "diar_segments": [[round(start, 3), round(end, 3)] for start, end in spans],
                "speaking_duration": round(sum(end - start for start, end in spans), 3),
            }
            entries.append(AudioTask(dataset_name=task.dataset_name, data=data))
        return entries or dropped("no_speakers")
