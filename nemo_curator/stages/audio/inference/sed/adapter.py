"""What `SEDInferenceStage` asks of a model that tells sounds apart. Write a class of this kind to bring your own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemo_curator.stages.audio.inference.adapters import AudioAdapter

if TYPE_CHECKING:
    from nemo_curator.stages.audio.common.decoding import Waveform

__all__ = ["SedAdapter", "SoundEvent"]


@dataclass(frozen=True, slots=True)
class SoundEvent:
    """A sound that was heard.

    Attributes:
        label: What it is: ``"Music"``.
        start: Where it begins, in seconds from the beginning of the clip.
        end: Where it ends.
        score: How sure the model is, 0 to 1.
    """

    label: str
    start: float
    end: float
    score: float


class SedAdapter(AudioAdapter):
    """A model of sound event detection. Built in the driver, where it must stay small and picklable; loaded in each worker."""

    @abstractmethod
    def detect(self, clips: Sequence[Waveform]) -> list[list[SoundEvent]]:
        """Return the sounds of every clip, in their order.

        What it raises costs, in the end, only the clips that it is raised for.

        Args:
            clips: One channel at `sample_rate` each, float32 of shape ``(samples,)``.
        """
