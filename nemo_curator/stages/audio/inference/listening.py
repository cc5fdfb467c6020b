"""`ListeningStage`: what stages share that let an adapter listen to the sound of entries."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import StageContractError, TransientError
from nemo_curator.stages.audio.common.decoding import require_decoding
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.notes import add_note
from nemo_curator.stages.audio.common.refusals import task_name
from nemo_curator.stages.audio.common.waveforms import heard
from nemo_curator.stages.audio.inference.adapters import AudioAdapter
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import AudioTask

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["ListeningStage"]

_log = logging.getLogger(__name__)


class ListeningStage(ProcessingStage[AudioTask, AudioTask]):
    """Lets an adapter listen to batches of entries and writes what it answers. No entry is dropped.

    An error with several clips at hand is tried clip by clip, so that it costs only those that it is about. Subclasses say how the adapter
    is asked, and what is written. They have the attributes of `ASRStage` that are named here.
    """

    adapter_target: str
    audio_filepath_key: str
    waveform_key: str
    sample_rate_key: str
    skip_me_key: str
    notes_key: str
    fail_on_audio_error: bool
    limits: AudioLimits = DEFAULT_LIMITS
    _adapter: AudioAdapter

    @abstractmethod
    def _nothing(self) -> dict[str, Any]:
        """Return what stands for nothing, by key."""

    @abstractmethod
    def _ask(self, tasks: Sequence[AudioTask], clips: Sequence[Waveform]) -> Sequence[Any]:
        """Return what the adapter answers to clips, one channel each at its rate."""

    @abstractmethod
    def _write(self, task: AudioTask, answer: Any) -> None:
        """Write the answer."""

    def _refusal(self, task: AudioTask) -> tuple[str, str] | None:
        """Return why the adapter is not asked about an entry: what the flag is set to, and the note; `None` if it is."""
        return None

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers: the model is loaded once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def check_before_run(self) -> None:
        """Raise if packages or files are missing."""
        require_decoding(self.name)
        if check := getattr(self._adapter, "check", None):
            check()

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Make sure that the model is on this node."""
        self._adapter.download_weights_on_node()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model."""
        self._adapter.load_model(num_gpus=self.resources.gpus)

    def teardown(self) -> None:
        """Let go of the model."""
        self._adapter.unload_model()

    def process(self, task: AudioTask) -> AudioTask:
        """Return the task with the answer."""
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[AudioTask]) -> list[AudioTask]:
        """Return the tasks with answers.

        Raises:
            StageContractError: The adapter gives more or fewer answers than it got clips.
            TransientError: The adapter asks for another attempt.
        """
        clips: list[tuple[AudioTask, Waveform]] = []
        for task in tasks:
            if self._is_wanted(task):
                try:
                    clips.append((task, self._clip(task)))
                except UnreadableAudio as error:
                    self._failed(task, error)
        for (task, _), answer in zip(clips, self._answers(clips), strict=True):
            if isinstance(answer, Exception):
                self._failed(task, answer)
            else:
                self._write(task, answer)
        return tasks

    def _is_wanted(self, task: AudioTask) -> bool:
        if task.data.get(self.skip_me_key):
            note = "skipped (flagged)"
        elif refusal := self._refusal(task):
            task.data[self.skip_me_key], note = refusal
        else:
            return True
        add_note(task.data, self.notes_key, self.name, note)
        for key, value in self._nothing().items():
            task.data.setdefault(key, value)
        return False

    def _clip(self, task: AudioTask) -> Waveform:
        return heard(
            task.data,
            task_name(task),
            self._adapter.sample_rate,
            waveform_key=self.waveform_key,
            sample_rate_key=self.sample_rate_key,
            filepath_keys=(self.audio_filepath_key,),
            limits=self.limits,
        )

    def _answers(self, clips: Sequence[tuple[AudioTask, Waveform]]) -> list[Any]:
        """Return for every clip what the adapter answered, or what was raised for it."""
        if not clips:
            return []
        try:
            answers = self._ask([task for task, _ in clips], [clip for _, clip in clips])
        except TransientError:
            raise
        except Exception as error:  # whatever a model raises; it is written down, or raised again, by `_failed`
            if len(clips) == 1:
                return [error]
            return [answer for each in clips for answer in self._answers([each])]
        if len(answers) != len(clips):
            message = f"stage {self.name!r}: {self.adapter_target} gave {len(answers)} results for {len(clips)} clips; it must give one for each"
            raise StageContractError(message)
        return list(answers)

    def _failed(self, task: AudioTask, error: Exception) -> None:
        if self.fail_on_audio_error:
            raise error
        _log.warning("stage %r: %s failed: %s", self.name, task_name(task), error)
        task.data[self.skip_me_key] = f"{self.name}:failed"
        add_note(task.data, self.notes_key, self.name, f"failed ({error})")
        task.data.update(self._nothing())
