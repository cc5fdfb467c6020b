"""`NeMoASRAlignerStage` and `SplitASRAlignJoinStage`: what is said, and when every word of it."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.audio.common.decoding import require_decoding
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.refusals import refused, task_name
from nemo_curator.stages.audio.common.waveforms import heard
from nemo_curator.stages.audio.inference.asr.adapter import AsrAdapter, AsrClip
from nemo_curator.stages.audio.inference.asr.nemo import NemoAdapter
from nemo_curator.stages.audio.tagging.split import JoinSplitAudioMetadataStage, SplitLongAudioStage
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import AudioTask

__all__ = ["NeMoASRAlignerStage", "SplitASRAlignJoinStage"]

_MODEL = "nvidia/parakeet-tdt_ctc-1.1b"


@dataclass
class NeMoASRAlignerStage(ProcessingStage[AudioTask, AudioTask]):
    """Recognise speech, and write the transcript and ``alignment``: for every word ``word``, and ``start`` and ``end`` in seconds.

    Of an entry with ``split_metadata``, as `SplitLongAudioStage` leaves it, every part gets its own; `JoinSplitAudioMetadataStage` puts them
    together. The recogniser is one of NVIDIA's NeMo toolkit, which no extra brings; any `AsrAdapter` whose results have ``alignment`` can
    stand for it: ``FasterWhisperAdapter(word_timestamps=True)`` needs the extra ``audio`` only.

    A recording that cannot be used is dropped with its reason.

    Attributes:
        model_name: A file ``.nemo``, or a name on the hub.
        text_key: Key for the transcript.
        language_key: Key of the language, if entries have one.
        audio_filepath_key: Key of the path; ``audio_filepath`` is taken where it is missing, and of parts.
        adapter: A recogniser, instead of `model_name`.
        limits: What is read of a file at most.
    """

    model_name: str = _MODEL
    text_key: str = "text"
    language_key: str = "language"
    audio_filepath_key: str = "resampled_audio_filepath"
    name: str = "nemo_asr_aligner"
    adapter: AsrAdapter | None = field(default=None, kw_only=True)
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        self._recogniser = self.adapter or NemoAdapter(self.model_name)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return nothing: it is the entry or its parts that get text and alignment."""
        return ["data"], []

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers: the model is loaded once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def check_before_run(self) -> None:
        """Raise if packages or the model are missing."""
        require_decoding(self.name)
        self._recogniser.check()

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Make sure that the model is on this node."""
        self._recogniser.download_weights_on_node()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model."""
        self._recogniser.load_model(num_gpus=self.resources.gpus)

    def teardown(self) -> None:
        """Let go of the model."""
        self._recogniser.unload_model()

    def process(self, task: AudioTask) -> AudioTask | None:
        """Return the task with transcript and alignment.

        Raises:
            DataError: The recogniser does not tell when words are spoken.
        """
        data = task.data
        parts = data.get("split_metadata")
        try:
            if parts is None:
                self._recognise(data, task_name(task), data.get(self.language_key))
            else:
                for number, part in enumerate(parts):
                    self._recognise(part, f"part {number} of {task_name(task)}", data.get(self.language_key))
        except UnreadableAudio as error:
            return refused(self, task, error)
        return task

    def _recognise(self, item: MutableMapping[str, Any], what: str, language: str | None) -> None:
        keys = (self.audio_filepath_key, "audio_filepath")
        samples = heard(item, what, self._recogniser.sample_rate, filepath_keys=keys, limits=self.limits)
        (result,) = self._recogniser.transcribe([AsrClip(samples, language)])
        if "alignment" not in result.extra:
            message = (
                f"stage {self.name!r}: {type(self._recogniser).__name__} does not tell when the words of {what} are spoken: its results need "
                "'alignment' in extra; FasterWhisperAdapter does so with word_timestamps=True"
            )
            raise DataError(message)
        item[self.text_key], item["alignment"] = result.text, result.extra["alignment"]


@dataclass
class SplitASRAlignJoinStage(CompositeStage[AudioTask, AudioTask]):
    """Recognise long recordings: split them, recognise and align the parts, and join what was found.

    It becomes `SplitLongAudioStage`, `NeMoASRAlignerStage` and `JoinSplitAudioMetadataStage`; see there for what is needed and written.

    Attributes:
        model_name: A recogniser of NVIDIA's NeMo toolkit: a file ``.nemo``, or a name on the hub.
        suggested_max_len: Longest part in seconds, if segments end in time.
        min_len: Shortest part in seconds.
        text_key: Key for the transcript.
        adapter: A recogniser, instead of `model_name`.
        limits: What is read of a file at most.
    """

    model_name: str = _MODEL
    suggested_max_len: float = 3600.0
    min_len: float = 1.0
    text_key: str = "text"
    name: str = "split_asr_align_join"
    adapter: AsrAdapter | None = field(default=None, kw_only=True)
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        super().__init__()
        if not self.text_key:
            message = f"stage {self.name!r}: text_key must name a key"
            raise OptionError(message)
        self.decompose()  # refuses wrong options where the user wrote them

    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        """Return the three stages."""
        return [
            SplitLongAudioStage(self.suggested_max_len, self.min_len, limits=self.limits),
            NeMoASRAlignerStage(self.model_name, self.text_key, adapter=self.adapter, limits=self.limits),
            JoinSplitAudioMetadataStage(self.text_key),
        ]
