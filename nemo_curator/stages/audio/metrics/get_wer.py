"""How far a transcript is from what was said: word and character error rates."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import DataError, OptionError, require
from nemo_curator.stages.audio.common.refusals import task_name
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask

__all__ = ["ComputeWERStage", "GetPairwiseWerStage", "error_counts", "normalized_for_wer"]

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'", "\u2018": "'"})
_OUTER_APOSTROPHE = re.compile(r"(?<!\w)'|'(?!\w)")


def normalized_for_wer(text: str) -> str:
    """Return a text as it is compared: NFKC, lower case, without punctuation and symbols but for apostrophes within words."""
    text = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).lower()
    kept = "".join(" " if unicodedata.category(sign)[0] in "PS" and sign != "'" else sign for sign in text)
    return " ".join(_OUTER_APOSTROPHE.sub(" ", kept).split())


def error_counts(reference: str, hypothesis: str, *, characters: bool = False) -> tuple[int, int]:
    """Return substitutions, deletions and insertions together, and the length of the reference, in words or characters.

    The rate of a corpus is the sum of the first by the sum of the second.
    """
    require("jiwer", extra="audio", purpose="the word error rate")
    import jiwer  # pyright: ignore[reportMissingImports] - an extra

    length = len(reference) if characters else len(reference.split())
    if not length:  # jiwer does not take an empty reference
        return (len(hypothesis) if characters else len(hypothesis.split())), 0
    found = (jiwer.process_characters if characters else jiwer.process_words)(reference, hypothesis)
    return found.substitutions + found.deletions + found.insertions, length


@dataclass
class _WerStage(ProcessingStage[AudioTask, AudioTask]):
    """What stages of error rates share.

    Attributes:
        text_key: Key of what was said.
        pred_text_key: Key of what was recognised.
    """

    text_key: str = "text"
    pred_text_key: str = "pred_text"

    def __post_init__(self) -> None:
        if self.text_key == self.pred_text_key:
            message = f"stage {self.name!r} would compare {self.text_key!r} with itself"
            raise OptionError(message)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the keys of both texts."""
        return ["data"], [self.text_key, self.pred_text_key]

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if jiwer is not installed."""
        require("jiwer", extra="audio", purpose=f"stage {self.name!r}")

    def _texts(self, task: AudioTask) -> tuple[str, str]:
        texts: list[str] = []
        for key in (self.text_key, self.pred_text_key):
            value: Any = task.data.get(key)
            if value is not None and not isinstance(value, str):
                message = f"stage {self.name!r}: {key!r} of {task_name(task)} is {type(value).__name__}, and not text"
                raise DataError(message)
            texts.append(value or "")
        return texts[0], texts[1]


@dataclass
class GetPairwiseWerStage(_WerStage):
    """Write the word error rate of every entry in percent, rounded to two places, of the texts as they are.

    Substitutions, deletions and insertions by the words of the reference; it may be above 100. Without a word in the reference, 0 if
    nothing was recognised, and 100 otherwise. `ComputeWERStage` looks past case and punctuation.

    Attributes:
        wer_key: Key for the rate.
    """

    wer_key: str = "wer_pct"
    name: str = "get_pairwise_wer"

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the key of the rate."""
        return ["data"], [self.wer_key]

    def process(self, task: AudioTask) -> AudioTask:
        """Return the task with its rate."""
        errors, words = error_counts(*self._texts(task))
        task.data[self.wer_key] = round(100 * _rate(errors, words), 2)
        return task


@dataclass
class ComputeWERStage(_WerStage):
    """Write word and character error rate of every entry as fractions, of the texts without case and punctuation.

    The counts are written too, so that rates of a whole corpus can be told: errors and length, in words and in characters, as
    ``<wer_key>_errors``, ``<wer_key>_length``, and the same for characters.

    Attributes:
        wer_key: Key for the word error rate.
        cer_key: Key for the character error rate.
        normalize: Compare the texts as `normalized_for_wer` gives them; otherwise as they are.
    """

    wer_key: str = "wer"
    cer_key: str = "cer"
    normalize: bool = True
    name: str = "compute_wer"

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the keys of rates and counts."""
        keys = [f"{key}{end}" for key in (self.wer_key, self.cer_key) for end in ("", "_errors", "_length")]
        return ["data"], keys

    def process(self, task: AudioTask) -> AudioTask:
        """Return the task with its rates."""
        reference, hypothesis = self._texts(task)
        if self.normalize:
            reference, hypothesis = normalized_for_wer(reference), normalized_for_wer(hypothesis)
        for key, characters in ((self.wer_key, False), (self.cer_key, True)):
            errors, length = error_counts(reference, hypothesis, characters=characters)
            task.data.update({key: _rate(errors, length), f"{key}_errors": errors, f"{key}_length": length})
        return task


def _rate(errors: int, length: int) -> float:
    return errors / length if length else float(errors > 0)
