"""What `ASRStage` asks of a speech recogniser. Write a class of this kind to bring your own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemo_curator.stages.audio.inference.adapters import AudioAdapter

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["AsrAdapter", "AsrClip", "AsrResult"]


@dataclass(frozen=True, slots=True)
class AsrClip:
    """What is to be recognised.

    Attributes:
        samples: One channel at the adapter's sample rate, float32 of shape ``(samples,)``.
        language: ISO 639 code of what is spoken, if somebody has said so.
    """

    samples: Waveform
    language: str | None = None


@dataclass(frozen=True, slots=True)
class AsrResult:
    """What was recognised.

    Attributes:
        text: The transcript; empty if nothing was heard.
        language: ISO 639 code of the language, as far as it is known.
        extra: More to write into the entry, by key.
    """

    text: str
    language: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


class AsrAdapter(AudioAdapter):
    """A speech recogniser. Built in the driver, where it must stay small and picklable; `load_model` is called in each worker.

    Attributes:
        languages: ISO 639-1 codes of what it understands; `None` for anything.
    """

    languages: frozenset[str] | None = None

    @abstractmethod
    def transcribe(self, clips: Sequence[AsrClip]) -> list[AsrResult]:
        """Return a result for every clip, in their order. What it raises costs, in the end, only the clips that it is raised for."""
