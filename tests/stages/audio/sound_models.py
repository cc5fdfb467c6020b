"""Small models that really listen: to pitch and to loudness."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from nemo_curator.stages.audio.inference.sed import SedAdapter, SoundEvent
from nemo_curator.stages.audio.segmentation import Diarizer, Turn

_FRAME = 0.1


def _frames(samples: Any, rate: int) -> Any:
    size = int(rate * _FRAME)
    return samples[: len(samples) // size * size].reshape(-1, size)


class HighAndLow(SedAdapter):
    """Calls frames whose strongest frequency is below 600 Hz low and others high; raises for clips shorter than one frame."""

    sample_rate = 8000

    def __init__(self, model_id: str = "pitch", score: float = 0.5) -> None:
        super().__init__(model_id)
        self.score = score
        self._window: Any = None

    def load_model(self, *, num_gpus: float) -> None:
        self._window = np.hanning(int(self.sample_rate * _FRAME))

    def unload_model(self) -> None:
        self._window = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_window": None}

    def detect(self, clips: Sequence[Any]) -> list[list[SoundEvent]]:
        return [self._events(clip) for clip in clips]

    def _events(self, clip: Any) -> list[SoundEvent]:
        frames = _frames(clip, self.sample_rate)
        if not len(frames):
            message = "shorter than a frame"
            raise ValueError(message)
        spectrum = np.abs(np.fft.rfft(frames * self._window, axis=1))
        hertz = np.argmax(spectrum, axis=1) / _FRAME
        labels = np.where(np.abs(frames).max(axis=1) < 0.01, "", np.where(hertz < 600, "low", "high"))
        events: list[SoundEvent] = []
        at = 0
        for label, run in groupby(labels):
            length = len(list(run))
            if label:
                score = self.score if label == "low" else 1.0
                events.append(SoundEvent(str(label), at * _FRAME, (at + length) * _FRAME, score))
            at += length
        return events[::-1]


class OneEventShort(HighAndLow):
    def detect(self, clips: Sequence[Any]) -> list[list[SoundEvent]]:
        return []


class ByPitch(Diarizer):
    """Takes everything low for one speaker and everything high for another."""

    sample_rate = 8000

    def __init__(self, extra: Sequence[Turn] = ()) -> None:
        self.extra = list(extra)
        self._model: Any = None

    def load(self) -> None:
        if self._model is None:
            self._model = HighAndLow()
            self._model.load_model(num_gpus=0)

    def turns(self, samples: Any) -> list[Turn]:
        self.load()
        (events,) = self._model.detect([samples])
        return [*(Turn(event.start, event.end, event.label) for event in events), *self.extra]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_model": None}
