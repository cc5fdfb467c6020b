"""`SpeechRateStage`: how fast somebody speaks, which betrays transcripts that do not belong to their sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import OptionError
from nemo_curator.stages.audio.common.refusals import dropped
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask

__all__ = ["SpeechRateStage"]


@dataclass
class SpeechRateStage(ProcessingStage[AudioTask, AudioTask]):
    """Write words and characters a second, and drop entries outside of bounds, if there are any.

    Characters are counted without spaces. An entry of unknown length has no rates (null); with bounds it is dropped as ``no_duration``.
    One with too few or too many is dropped as ``slow`` or ``fast``.

    Attributes:
        text_key: Key of the text.
        duration_key: Key of the length in seconds.
        words_key: Key for words a second.
        chars_key: Key for characters a second.
        min_words_per_second: Fewer are too few. English is read aloud at two to three.
        max_words_per_second: More are too many.
        min_chars_per_second: Fewer are too few.
        max_chars_per_second: More are too many.
    """

    text_key: str = "text"
    duration_key: str = "duration"
    words_key: str = "words_per_second"
    chars_key: str = "chars_per_second"
    min_words_per_second: float | None = None
    max_words_per_second: float | None = None
    min_chars_per_second: float | None = None
    max_chars_per_second: float | None = None
    name: str = "speech_rate"

    def __post_init__(self) -> None:
        for what, low, high in self._bounds():
            if low is not None and high is not None and low > high:
                message = f"stage {self.name!r}: min_{what}_per_second is above max_{what}_per_second: {low} > {high}"
                raise OptionError(message)

    def _bounds(self) -> list[tuple[str, float | None, float | None]]:
        return [
            ("words", self.min_words_per_second, self.max_words_per_second),
            ("chars", self.min_chars_per_second, self.max_chars_per_second),
        ]

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the keys of text and length."""
        return ["data"], [self.text_key, self.duration_key]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the keys of the rates."""
        return ["data"], [self.words_key, self.chars_key]

    def process(self, task: AudioTask) -> AudioTask | None:
        """Return the task with its rates, or that it was dropped."""
        data = task.data
        words = str(data.get(self.text_key) or "").split()
        seconds: Any = data.get(self.duration_key)
        known = isinstance(seconds, (int, float)) and seconds > 0
        rates = (len(words) / seconds, sum(map(len, words)) / seconds) if known else (None, None)
        data[self.words_key], data[self.chars_key] = rates
        for rate, (_, low, high) in zip(rates, self._bounds(), strict=True):
            if low is None and high is None:
                continue
            if rate is None:
                return dropped("no_duration")
            if low is not None and rate < low:
                return dropped("slow")
            if high is not None and rate > high:
                return dropped("fast")
        return task
