"""`SEDInferenceStage`: writes which sounds are heard when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import OptionError
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits
from nemo_curator.stages.audio.common.notes import add_note
from nemo_curator.stages.audio.inference.adapters import make_adapter
from nemo_curator.stages.audio.inference.listening import ListeningStage
from nemo_curator.stages.audio.inference.sed.adapter import SedAdapter, SoundEvent
from nemo_curator.tasks import AudioTask

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["SEDInferenceStage"]


@dataclass
class SEDInferenceStage(ListeningStage):
    """Detect sound events (speech, music, a dog) with a model that an adapter brings; no package ships one. No entry is dropped.

    Writes a list of objects with ``label``, ``start`` and ``end`` in seconds, and ``score``, in the order of their start. What happens to an
    entry is noted under `notes_key`, by the stage's name: ``detected``, ``skipped (flagged)`` for one that something stood under `skip_me_key`
    of, or ``failed (...)``; the flag is then set to ``<name>:failed`` and the list is empty. With `fail_on_audio_error` the task fails instead.

    Attributes:
        adapter_target: Import path of a `SedAdapter`.
        model_id: The model, as the adapter understands it; `None` for its default.
        adapter_kwargs: More arguments of the adapter.
        events_key: Key for the list.
        min_score: Events of which the model is less sure are left out.
        labels: Events to keep, by label; `None` for all.
        audio_filepath_key: Key of the path.
        waveform_key: Key of the waveform.
        sample_rate_key: Key of its rate.
        batch_size: Entries that the adapter gets at a time.
        limits: What is read of a file at most.
    """

    adapter_target: str
    model_id: str | None = None
    adapter_kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    events_key: str = "sound_events"
    min_score: float = 0.0
    labels: Sequence[str] | None = None
    audio_filepath_key: str = "audio_filepath"
    waveform_key: str = "waveform"
    sample_rate_key: str = "sample_rate"
    skip_me_key: str = "_skipme"
    notes_key: str = "additional_notes"
    fail_on_audio_error: bool = False
    name: str = "SED"
    batch_size: int | None = 32
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        if not self.adapter_target:
            message = (
                f"stage {self.name!r} has no model, and no package ships one for sound events: name a SedAdapter of yours as adapter_target, "
                "package.module.Class"
            )
            raise OptionError(message)
        if not 0 <= self.min_score <= 1:
            message = f"stage {self.name!r}: min_score must be from 0 to 1, got {self.min_score}"
            raise OptionError(message)
        if isinstance(self.labels, str):
            message = f"stage {self.name!r}: labels must be a list of labels, got {self.labels!r}"
            raise OptionError(message)
        self._adapter: SedAdapter = make_adapter(  # pyright: ignore[reportIncompatibleVariableOverride] - narrower
            self.name, self.adapter_target, SedAdapter, "detect", self.model_id, self.adapter_kwargs
        )

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the key of the list."""
        return ["data"], [self.events_key]

    def _nothing(self) -> dict[str, Any]:
        return {self.events_key: []}

    def _ask(self, tasks: Sequence[AudioTask], clips: Sequence[Waveform]) -> Sequence[list[SoundEvent]]:
        return self._adapter.detect(clips)

    def _write(self, task: AudioTask, answer: Sequence[SoundEvent]) -> None:
        wanted = [
            event
            for event in answer
            if event.score >= self.min_score and (self.labels is None or event.label in self.labels)
        ]
        task.data[self.events_key] = [
            {"label": event.label, "start": event.start, "end": event.end, "score": event.score}
            for event in sorted(wanted, key=lambda event: (event.start, event.end, event.label))
        ]
        add_note(task.data, self.notes_key, self.name, "detected")
