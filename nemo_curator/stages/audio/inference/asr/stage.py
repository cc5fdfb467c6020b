"""`ASRStage`: writes what is said."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.errors import OptionError, StageContractError, TransientError, require
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.notes import add_note
from nemo_curator.stages.audio.common.refusals import task_name
from nemo_curator.stages.audio.common.waveforms import ensure_mono, resample, usable_waveform
from nemo_curator.stages.audio.inference.asr.adapter import AsrAdapter, AsrClip, AsrResult, load_adapter_class
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import AudioTask

__all__ = ["ASRStage"]

_log = logging.getLogger(__name__)

_SHORT_NAMES = {
    "faster_whisper": "nemo_curator.stages.audio.inference.asr.faster_whisper.FasterWhisperAdapter",
    "pocketsphinx": "nemo_curator.stages.audio.inference.asr.pocketsphinx.PocketSphinxAdapter",
}


@dataclass
class ASRStage(ProcessingStage[AudioTask, AudioTask]):
    """Recognise speech with whatever an adapter brings, and write the transcript. No entry is dropped.

    The sound is the waveform of the entry, or else its file's. What happens to an entry is noted under `notes_key`, by the stage's name:

    * ``recognised``;
    * ``skipped (flagged)``: something stood under `skip_me_key`; it is passed on as it was;
    * ``skipped (language xx)``: the adapter does not know the language; the flag is set to ``ASR:language``;
    * ``failed (...)``: the sound cannot be used, or the recogniser raised for it; the flag is set to ``ASR:failed`` and the transcript is
      empty. With `fail_on_audio_error` the task fails instead.

    An error with several clips at hand is tried clip by clip, so that it costs only those that it is about. A recogniser that crashes its
    process or hangs is the engine's affair: it does the same, see `ProcessingStage.timeout_s`.

    Attributes:
        adapter_target: Import path of an `AsrAdapter`; ``"faster_whisper"`` and ``"pocketsphinx"`` are short for those that are here.
        model_id: The model, as the adapter understands it; `None` for its default.
        adapter_kwargs: More arguments of the adapter.
        audio_filepath_key: Key of the path.
        waveform_key: Key of the waveform.
        sample_rate_key: Key of its rate.
        language_key: Key of the language, if entries have one.
        pred_text_key: Key for the transcript.
        pred_language_key: Key for the language that was heard; `None` to leave it out.
        batch_size: Entries that the adapter gets at a time.
        limits: What is read of a file at most.
    """

    adapter_target: str
    model_id: str | None = None
    adapter_kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    audio_filepath_key: str = "audio_filepath"
    waveform_key: str = "waveform"
    sample_rate_key: str = "sample_rate"
    language_key: str = "language"
    pred_text_key: str = "pred_text"
    pred_language_key: str | None = None
    skip_me_key: str = "_skipme"
    notes_key: str = "additional_notes"
    fail_on_audio_error: bool = False
    name: str = "ASR"
    batch_size: int | None = 32
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        if not self.adapter_target:
            message = f"stage {self.name!r}: adapter_target must name an adapter; known: {', '.join(_SHORT_NAMES)}, or package.module.Class"
            raise OptionError(message)
        adapter = load_adapter_class(_SHORT_NAMES.get(self.adapter_target, self.adapter_target))
        given = {} if self.model_id is None else {"model_id": self.model_id}
        try:
            self._adapter: AsrAdapter = adapter(**given, **self.adapter_kwargs)
        except TypeError as error:
            message = f"stage {self.name!r}: {self.adapter_target} does not take what it is given: {error}"
            raise OptionError(message) from error

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the key of the transcript."""
        return ["data"], [self.pred_text_key, *([self.pred_language_key] if self.pred_language_key else [])]

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers: the model is loaded once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def check_before_run(self) -> None:
        """Raise if packages or files are missing."""
        for package in ("soundfile", "scipy"):
            require(package, extra="audio", purpose=f"stage {self.name!r}")
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
        """Return the task with its transcript."""
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[AudioTask]) -> list[AudioTask]:
        """Return the tasks with their transcripts.

        Raises:
            StageContractError: The adapter gives more or fewer results than it got clips.
            TransientError: The adapter asks for another attempt.
        """
        clips: list[tuple[AudioTask, AsrClip]] = []
        for task in tasks:
            if self._is_wanted(task):
                try:
                    clips.append((task, self._clip(task)))
                except UnreadableAudio as error:
                    self._failed(task, error)
        for (task, _), result in zip(clips, self._recognised(clips), strict=True):
            if isinstance(result, Exception):
                self._failed(task, result)
            else:
                self._write(task, result)
        return tasks

    def _is_wanted(self, task: AudioTask) -> bool:
        data = task.data
        if data.get(self.skip_me_key):
            add_note(data, self.notes_key, self.name, "skipped (flagged)")
            data.setdefault(self.pred_text_key, "")
            return False
        language, known = self._language(data), self._adapter.languages
        if language is None or known is None or language in known:
            return True
        data[self.skip_me_key] = f"{self.name}:language"
        data.setdefault(self.pred_text_key, "")
        add_note(data, self.notes_key, self.name, f"skipped (language {language})")
        return False

    def _language(self, data: Mapping[str, Any]) -> str | None:
        language = data.get(self.language_key)
        return language.lower().replace("_", "-").split("-", 1)[0] if isinstance(language, str) and language else None

    def _clip(self, task: AudioTask) -> AsrClip:
        from nemo_curator.stages.audio.common.decoding import read_audio

        data, what = task.data, task_name(task)
        if data.get(self.waveform_key) is not None:
            waveform, rate = usable_waveform(
                data[self.waveform_key], data.get(self.sample_rate_key), what, limits=self.limits
            )
        elif data.get(self.audio_filepath_key):
            waveform, rate = read_audio(str(data[self.audio_filepath_key]), limits=self.limits)
        else:
            message = f"{what} has neither {self.waveform_key!r} nor a path in {self.audio_filepath_key!r}"
            raise UnreadableAudio(message, "missing")
        samples = resample(ensure_mono(waveform), rate, self._adapter.sample_rate)[0]
        return AsrClip(samples, self._language(data))

    def _recognised(self, clips: Sequence[tuple[AudioTask, AsrClip]]) -> list[AsrResult | Exception]:
        """Return for every clip what was recognised, or what was raised for it."""
        if not clips:
            return []
        try:
            results = self._adapter.transcribe([clip for _, clip in clips])
        except TransientError:
            raise
        except Exception as error:  # whatever a recogniser raises; it is written down, or raised again, by `_failed`
            if len(clips) == 1:
                return [error]
            return [result for each in clips for result in self._recognised([each])]
        if len(results) != len(clips):
            message = f"stage {self.name!r}: {self.adapter_target} gave {len(results)} results for {len(clips)} clips; it must give one for each"
            raise StageContractError(message)
        return list(results)

    def _failed(self, task: AudioTask, error: Exception) -> None:
        if self.fail_on_audio_error:
            raise error
        _log.warning("stage %r: %s failed: %s", self.name, task_name(task), error)
        task.data[self.pred_text_key] = ""
        task.data[self.skip_me_key] = f"{self.name}:failed"
        add_note(task.data, self.notes_key, self.name, f"failed ({error})")

    def _write(self, task: AudioTask, result: AsrResult) -> None:
        task.data[self.pred_text_key] = result.text
        if self.pred_language_key:
            task.data[self.pred_language_key] = result.language
        task.data.update(result.extra)
        add_note(task.data, self.notes_key, self.name, "recognised")
