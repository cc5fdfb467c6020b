"""`WhisperHallucinationStage`: transcripts that a speech recogniser has made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import InputError, OptionError
from nemo_curator.stages.audio.common.notes import add_note
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import AudioTask
from nemo_curator.utils.file_listing import local_path

__all__ = ["WhisperHallucinationStage"]

# Finnish, Hungarian, Estonian, German, Dutch, Danish, Swedish and Norwegian put words together without end.
_COMPOUNDING = frozenset({"fi", "hu", "et", "de", "nl", "da", "sv", "no", "nb", "nn"})
_MARKS = str.maketrans("", "", ".?!,")
_PREFIX_CHARS = 8


@dataclass
class WhisperHallucinationStage(ProcessingStage[AudioTask, AudioTask]):
    """Flag transcripts that look made up. No entry is dropped: the flag says which to leave out.

    A transcript is flagged when one of these holds:

    * few different words: different words / words <= `unique_words_threshold`;
    * a long word: of `long_word_threshold` letters or more (`agglutinative_long_word_threshold` in Finnish, Hungarian, Estonian, German,
      Dutch, Danish, Swedish and Norwegian), or, in other languages, longer than the second longest by `long_word_rel_threshold` times
      its length or more;
    * a known phrase: without ``.?!,`` it is one of the phrases, or begins with one of eight characters or more (hyphens may be spaces);
    * too fast: more than `max_char_rate` characters a second, spaces not counted.

    The flag under `skip_me_key` is ``Hallucination:<name>``; one that another stage has set is never overwritten. Under `notes_key`, a
    dictionary, the stage says by its name what it found: ``hallucination (<which>)``, ``passed``, ``skipped (flagged)``,
    ``skipped (empty text)`` or, with `overwrite`, ``recovered``.

    Attributes:
        common_hall_file: A text file in UTF-8 with a phrase a line; what follows a tab, such as a count, is not looked at.
        language_key: Key of the language, an ISO 639 code; without one the language is not taken for one that compounds.
        duration_key: Key of the length in seconds; without one the rate is not looked at.
        text_key: Key of the transcript.
        overwrite: Judge entries anew that this stage, or another one of its kind, has flagged, and clear the flag of those that pass.
        recovery_value: What a cleared flag becomes.
    """

    common_hall_file: str
    unique_words_threshold: float = 0.4
    long_word_threshold: int = 25
    agglutinative_long_word_threshold: int = 35
    long_word_rel_threshold: float = 3.0
    max_char_rate: float = 40.0
    language_key: str = "language"
    duration_key: str = "duration"
    text_key: str = "pred_text"
    skip_me_key: str = "_skipme"
    notes_key: str = "additional_notes"
    overwrite: bool = False
    recovery_value: str = ""
    name: str = "WhisperHallucination"

    def __post_init__(self) -> None:
        if not self.common_hall_file:
            message = f"stage {self.name!r}: common_hall_file must name a file with a phrase a line"
            raise OptionError(message)
        self.common_hall_file = local_path(self.common_hall_file)
        self._phrases: frozenset[str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_phrases": None}

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the key of the transcript."""
        return ["data"], [self.text_key]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the keys of flag and notes."""
        return ["data"], [self.skip_me_key, self.notes_key]

    def check_before_run(self) -> None:
        """Raise `InputError` if the list of phrases cannot be read."""
        self._read()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Read the list of phrases."""
        self._phrases = self._read()

    def _read(self) -> frozenset[str]:
        try:
            with open(self.common_hall_file, encoding="utf-8") as lines:
                phrases = {_plain(line.split("\t", 1)[0]) for line in lines}
        except (OSError, UnicodeDecodeError) as error:
            message = f"stage {self.name!r}: the phrases in {self.common_hall_file} cannot be read: {error}"
            raise InputError(message) from error
        return frozenset(phrases - {""})

    def process(self, task: AudioTask) -> AudioTask:
        """Return the task with flag and note."""
        data = task.data
        flag = str(data.get(self.skip_me_key) or "")
        text = str(data.get(self.text_key) or "").strip()
        ours = flag.startswith("Hallucination:")
        if flag and not (ours and self.overwrite):
            note = "skipped (flagged)"
        elif not text:
            note = "skipped (empty text)"
        else:
            found = self._signs(text, data)
            note = f"hallucination ({', '.join(found)})" if found else "recovered" if ours else "passed"
            if found or ours:
                flag = f"Hallucination:{self.name}" if found else self.recovery_value
        data[self.skip_me_key] = flag
        add_note(data, self.notes_key, self.name, note)
        return task

    def _signs(self, text: str, data: dict[str, Any]) -> list[str]:
        words = text.split()
        signs = {
            "repeated words": len(set(words)) / len(words) <= self.unique_words_threshold,
            "long word": self._has_long_word(words, str(data.get(self.language_key) or "")),
            "known phrase": self._is_known(_plain(text)),
            "fast": _rate(words, data.get(self.duration_key)) > self.max_char_rate,
        }
        return [sign for sign, holds in signs.items() if holds]

    def _has_long_word(self, words: Sequence[str], language: str) -> bool:
        compounding = language.lower().replace("_", "-").split("-", 1)[0] in _COMPOUNDING
        lengths = sorted(map(len, words), reverse=True)
        if lengths[0] >= (self.agglutinative_long_word_threshold if compounding else self.long_word_threshold):
            return True
        if compounding or len(lengths) < 2:
            return False
        return (lengths[0] - lengths[1]) / lengths[1] >= self.long_word_rel_threshold

    def _is_known(self, text: str) -> bool:
        phrases = self._phrases = self._read() if self._phrases is None else self._phrases
        for form in {text, " ".join(text.replace("-", " ").split())}:
            if form in phrases or any(len(phrase) >= _PREFIX_CHARS and form.startswith(phrase) for phrase in phrases):
                return True
        return False


def _plain(text: str) -> str:
    return " ".join(text.translate(_MARKS).lower().split())


def _rate(words: Sequence[str], seconds: object) -> float:
    """Return characters a second, spaces not counted; 0 if nobody knows how long it takes."""
    if not isinstance(seconds, (int, float)) or not seconds > 0:
        return 0.0
    return sum(map(len, words)) / seconds
