"""`ASRStage`: writes what is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import OptionError
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits
from nemo_curator.stages.audio.common.notes import add_note
from nemo_curator.stages.audio.inference.adapters import make_adapter
from nemo_curator.stages.audio.inference.asr.adapter import AsrAdapter, AsrClip, AsrResult
from nemo_curator.stages.audio.inference.listening import ListeningStage
from nemo_curator.tasks import AudioTask

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["ASRStage"]

_SHORT_NAMES = {
    "faster_whisper": "nemo_curator.stages.audio.inference.asr.faster_whisper.FasterWhisperAdapter",
    "nemo": "nemo_curator.stages.audio.inference.asr.nemo.NemoAdapter",
    "pocketsphinx": "nemo_curator.stages.audio.inference.asr.pocketsphinx.PocketSphinxAdapter",
}


@dataclass
class ASRStage(ListeningStage):
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
        target = _SHORT_NAMES.get(self.adapter_target, self.adapter_target)
        self._adapter: AsrAdapter = make_adapter(  # pyright: ignore[reportIncompatibleVariableOverride] - narrower
            self.name, target, AsrAdapter, "transcribe", self.model_id, self.adapter_kwargs
        )

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the key of the transcript."""
        return ["data"], [self.pred_text_key, *([self.pred_language_key] if self.pred_language_key else [])]

    def _language(self, task: AudioTask) -> str | None:
        language = task.data.get(self.language_key)
        return language.lower().replace("_", "-").split("-", 1)[0] if isinstance(language, str) and language else None

    def _refusal(self, task: AudioTask) -> tuple[str, str] | None:
        language, known = self._language(task), self._adapter.languages
        if language is None or known is None or language in known:
            return None
        return f"{self.name}:language", f"skipped (language {language})"

    def _nothing(self) -> dict[str, Any]:
        return {self.pred_text_key: ""}

    def _ask(self, tasks: Sequence[AudioTask], clips: Sequence[Waveform]) -> Sequence[AsrResult]:
        asked = zip(clips, tasks, strict=True)
        return self._adapter.transcribe([AsrClip(clip, self._language(task)) for clip, task in asked])

    def _write(self, task: AudioTask, answer: AsrResult) -> None:
        task.data[self.pred_text_key] = answer.text
        if self.pred_language_key:
            task.data[self.pred_language_key] = answer.language
        task.data.update(answer.extra)
        add_note(task.data, self.notes_key, self.name, "recognised")
