"""What filters of speech quality ask of a model, and what they share."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from nemo_curator.errors import OptionError
from nemo_curator.stages.audio.common.decoding import require_decoding
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.refusals import dropped, refused, task_name
from nemo_curator.stages.audio.common.waveforms import ensure_mono, resample, waveform_of
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import AudioTask

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["QualityFilterStage", "SpeechScorer", "below_threshold", "check_thresholds"]

_log = logging.getLogger(__name__)


class SpeechScorer(ABC):
    """A model that judges speech. Built in the driver, where it must stay small and picklable; loaded in each worker.

    Attributes:
        sample_rate: What it hears, in Hz.
    """

    sample_rate: int

    def check(self) -> None:  # noqa: B027 - there may be nothing to look for
        """Look whether packages and files are there. Raise a `CuratorError` that says what is missing."""

    @abstractmethod
    def load(self) -> None:
        """Load the model, if it is not."""

    @abstractmethod
    def scores(self, samples: Waveform) -> dict[str, float]:
        """Return the scores of one channel at the model's rate, float32 of shape ``(samples,)``, by name."""


class QualityFilterStage(ProcessingStage[AudioTask, AudioTask]):
    """Writes scores of entries, and drops those whose scores are not good enough.

    An entry with ``segments`` is judged segment by segment: those that are good enough stay, and the entry is dropped when none is.
    Segments that go are counted as ``segment_<reason>``.
    """

    limits: AudioLimits = DEFAULT_LIMITS
    _scorer: SpeechScorer

    @abstractmethod
    def problem(self, scores: Mapping[str, Any]) -> str:
        """Return why an entry with these scores is to go, in one word for reports; nothing if it stays."""

    @abstractmethod
    def keys(self) -> Mapping[str, str]:
        """Return the keys of an entry by the names of scores."""

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the keys of scores."""
        return ["data"], list(self.keys().values())

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers: the model is loaded once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def check_before_run(self) -> None:
        """Raise if packages or the model are missing."""
        require_decoding(self.name)
        self._scorer.check()

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Look whether the model is on this node."""
        self._scorer.check()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model."""
        self._scorer.load()

    def process(self, task: AudioTask) -> AudioTask | None:
        """Return the task with its scores, or that it was dropped."""
        segments = task.data.get("segments")
        if isinstance(segments, list):
            return self._judge_segments(task, cast("list[dict[str, Any]]", segments))
        try:
            problem = self._judge(task.data, task_name(task))
        except UnreadableAudio as error:
            return refused(self, task, error)
        return dropped(problem) if problem else task

    def _judge_segments(self, task: AudioTask, segments: list[dict[str, Any]]) -> AudioTask | None:
        good: list[dict[str, Any]] = []
        for number, segment in enumerate(segments):
            try:
                problem = self._judge(segment, f"segment {number} of {task_name(task)}")
            except UnreadableAudio as error:
                _log.warning("stage %r: left out: %s", self.name, error)
                problem = error.reason
            if problem:
                self.record_drops(f"segment_{problem}", 1)
            else:
                good.append(segment)
        if not good:
            return dropped("no_segments")
        task.data["segments"] = good
        return task

    def _judge(self, entry: dict[str, Any], what: str) -> str:
        waveform, rate = waveform_of(entry, what, mono=False, limits=self.limits)
        samples = resample(ensure_mono(waveform), rate, self._scorer.sample_rate)[0]
        scores = self._scorer.scores(samples)
        entry.update({key: scores[name] for name, key in self.keys().items() if name in scores})
        return self.problem(scores)


def check_thresholds(stage: str, thresholds: Mapping[str, float | None], low: float = 0.0, high: float = 5.0) -> None:
    """Raise `OptionError` for the first threshold that no score can be compared with."""
    for name, value in thresholds.items():
        if value is not None and not low <= value <= high:
            message = f"stage {stage!r}: {name}_threshold must be between {low:g} and {high:g}, or None, got {value}"
            raise OptionError(message)


def below_threshold(scores: Mapping[str, float], thresholds: Mapping[str, float | None]) -> str:
    """Return ``low_<name>`` for the first score that is below its threshold, or is no number; nothing if all are good."""
    for name, threshold in thresholds.items():
        if threshold is not None and not scores.get(name, float("nan")) >= threshold:
            return f"low_{name}"
    return ""
