"""`VADSegmentationStage`: cuts recordings into pieces in which somebody speaks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import OptionError, require
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.refusals import dropped, refused, task_name
from nemo_curator.stages.audio.common.waveforms import ensure_mono, resample, waveform_of
from nemo_curator.stages.audio.segmentation.regions import RegionRules, speech_regions
from nemo_curator.stages.audio.segmentation.silero import FRAME_SAMPLES, SAMPLE_RATE, SileroVad
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import AudioTask

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["VADSegmentationStage"]

_TIMING = frozenset({"start_ms", "end_ms", "segment_num", "duration", "num_samples", "segments"})


@dataclass
class VADSegmentationStage(ProcessingStage[AudioTask, AudioTask]):
    """Find where somebody speaks, and make an entry of every such segment.

    The waveform is that of the entry, or its file's, with all channels; the detector hears their mean at 16 kHz. A segment has the keys of
    the entry, and ``waveform``, ``sample_rate``, ``start_ms``, ``end_ms``, ``segment_num`` from 0, ``duration`` in seconds and
    ``original_file``. Segments do not overlap, and none is longer than `max_duration_sec`.

    A recording without speech is dropped as ``no_speech``, one that cannot be used with its reason, see `MonoConversionStage`.

    Attributes:
        min_interval_ms: A shorter pause does not part two segments.
        min_duration_sec: Shorter speech is passed over.
        max_duration_sec: Longer speech is parted where speech is least likely, at half of that length or later.
        threshold: Probability from which a frame of 32 ms is speech; it then goes on until one is below it by 0.15.
        speech_pad_ms: What is added before and after, where there is room.
        waveform_key: Key of the waveform.
        sample_rate_key: Key of its rate.
        nested: Keep one entry, with its segments in a list under ``segments`` and without the whole waveform; without speech the list
            is empty.
        model: The detector.
        limits: What is read of a file at most.
    """

    min_interval_ms: int = 500
    min_duration_sec: float = 2.0
    max_duration_sec: float = 60.0
    threshold: float = 0.5
    speech_pad_ms: int = 300
    waveform_key: str = "waveform"
    sample_rate_key: str = "sample_rate"
    nested: bool = False
    name: str = "VADSegmentation"
    model: SileroVad = field(default_factory=SileroVad, kw_only=True)
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        problems = {
            "min_duration_sec must be less than max_duration_sec": not 0
            <= self.min_duration_sec
            < self.max_duration_sec,
            "threshold must be above 0 and at most 1": not 0 < self.threshold <= 1,
            "min_interval_ms and speech_pad_ms must not be negative": min(self.min_interval_ms, self.speech_pad_ms) < 0,
        }
        for problem, holds in problems.items():
            if holds:
                message = f"stage {self.name!r}: {problem}"
                raise OptionError(message)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what is written."""
        if self.nested:
            return ["data"], ["segments"]
        keys = ["start_ms", "end_ms", "segment_num", "duration", "original_file"]
        return ["data"], [self.waveform_key, self.sample_rate_key, *keys]

    def is_fanout_stage(self) -> bool:
        """Say whether one entry becomes several."""
        return not self.nested

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers: the model is loaded once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def check_before_run(self) -> None:
        """Raise `MissingExtra` or `InputError` if there is no detector."""
        require("scipy", extra="audio", purpose=f"stage {self.name!r}")
        self.model.locate()

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Look whether the model is on this node."""
        self.model.locate()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model.

        Raises:
            RuntimeError: The stage asks for a GPU, and ONNX Runtime has none.
        """
        if self.resources.gpus:
            import onnxruntime  # pyright: ignore[reportMissingImports] - an extra

            if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
                message = f"stage {self.name!r} asks for a GPU, and ONNX Runtime has no CUDA here; ask for CPUs, the model is small"
                raise RuntimeError(message)
        self.model.load()

    def process(self, task: AudioTask) -> list[AudioTask] | AudioTask | None:
        """Return an entry for every segment, or with `nested` one with all segments, or that there are none."""
        data = task.data
        try:
            waveform, rate = waveform_of(
                data,
                task_name(task),
                mono=False,
                waveform_key=self.waveform_key,
                sample_rate_key=self.sample_rate_key,
                limits=self.limits,
            )
        except UnreadableAudio as error:
            return refused(self, task, error)
        left_out = _TIMING | {self.waveform_key, self.sample_rate_key}
        common = {key: value for key, value in data.items() if key not in left_out}
        source = str(data.get("original_file") or data.get("audio_filepath") or "")
        segments = [
            {**common, **self._cut(waveform, rate, start, end), "segment_num": number, "original_file": source}
            for number, (start, end) in enumerate(self._found(waveform, rate))
        ]
        if self.nested:
            kept = {key: value for key, value in data.items() if key != self.waveform_key}
            return AudioTask(dataset_name=task.dataset_name, data={**kept, "segments": segments})
        if not segments:
            return dropped("no_speech")
        return [AudioTask(dataset_name=task.dataset_name, data=segment) for segment in segments]

    def _found(self, waveform: Waveform, rate: int) -> list[tuple[int, int]]:
        """Return start and end of segments in milliseconds."""
        heard = resample(ensure_mono(waveform), rate, SAMPLE_RATE)[0]
        frame = FRAME_SAMPLES / SAMPLE_RATE
        rules = RegionRules(
            threshold=self.threshold,
            min_gap=self.min_interval_ms / 1000 / frame,
            min_length=self.min_duration_sec / frame,
            max_length=self.max_duration_sec / frame,
            pad=self.speech_pad_ms / 1000 / frame,
        )
        total_ms = 1000 * waveform.shape[1] / rate
        regions = speech_regions(self.model.probabilities(heard), total_ms / 1000 / frame, rules)
        # Rounded inwards, so that neither neighbours nor limits are touched.
        rounded = [(_up(1000 * frame * start), int(min(1000 * frame * end + 1e-6, total_ms))) for start, end in regions]
        return [(start, end) for start, end in rounded if end > start]

    def _cut(self, waveform: Waveform, rate: int, start: int, end: int) -> dict[str, Any]:
        piece = waveform[:, start * rate // 1000 : end * rate // 1000]
        return {
            self.waveform_key: piece.copy(),
            self.sample_rate_key: rate,
            "start_ms": start,
            "end_ms": end,
            "duration": (end - start) / 1000,
        }


def _up(milliseconds: float) -> int:
    return -int(-(milliseconds - 1e-6) // 1)
