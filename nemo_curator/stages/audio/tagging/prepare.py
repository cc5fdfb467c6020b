"""`PrepareModuleSegmentsStage`: utterances of the length that one trains speech synthesis or recognition with."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any, Literal

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.audio.common.refusals import dropped, task_name
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask

__all__ = ["PrepareModuleSegmentsStage", "SpokenWord", "UtteranceRules", "cut_utterances"]

_ENDS = ".!?…。！？｡؟।"  # noqa: RUF001 - full stops of several scripts
_CLOSING = "\"'»”’)]」』"  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word and who says it when.

    Attributes:
        text: The word, with its punctuation.
        start: In seconds.
        end: In seconds.
        home: Number of the segment that it came from.
        speaker: Who says it.
    """

    text: str
    start: float
    end: float
    home: int = 0
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class UtteranceRules:
    """What an utterance is, see `PrepareModuleSegmentsStage`."""

    min_duration: float
    max_duration: float
    max_pause: float
    one_speaker: bool
    full_utterance_ratio: float = 1.0
    punctuation_split_only: bool = False
    terminal_punct_marks: str = _ENDS

    def ends_sentence(self, word: SpokenWord) -> bool:
        """Say whether a sentence ends with the word; quotes and brackets may close after its mark."""
        return word.text.rstrip().rstrip(_CLOSING).endswith(tuple(self.terminal_punct_marks))

    def problem(self, words: Sequence[SpokenWord]) -> str:
        """Return why the words are no utterance, in one word; nothing if they are one."""
        length = max(word.end for word in words) - words[0].start
        if length < self.min_duration:
            return "short"
        if length > self.max_duration:
            return "long"
        return "" if not self.punctuation_split_only or self.ends_sentence(words[-1]) else "unfinished"


def cut_utterances(
    words: Sequence[SpokenWord], rules: UtteranceRules, draw: Random
) -> tuple[list[list[SpokenWord]], Counter[str]]:
    """Return utterances, in order, and how many pieces are none, by reason.

    Args:
        words: In order of their start.
        rules: What an utterance is.
        draw: Where chance comes from.
    """
    kept: list[list[SpokenWord]] = []
    lost: Counter[str] = Counter()
    for stretch in _stretches(words, rules):
        begin = 0
        while begin < len(stretch):
            end = _end(stretch, begin, rules, draw)
            piece = stretch[begin:end]
            problem = rules.problem(piece)
            if problem:
                lost[problem] += 1
            else:
                kept.append(piece)
            begin = end
    return kept, lost


def _stretches(words: Sequence[SpokenWord], rules: UtteranceRules) -> Iterator[list[SpokenWord]]:
    """Yield words that follow one another without a long pause and, if it matters, a change of speaker."""
    if not words:
        return
    stretch = [words[0]]
    for before, word in pairwise(words):
        if word.start - before.end > rules.max_pause or (rules.one_speaker and word.speaker != before.speaker):
            yield stretch
            stretch = []
        stretch.append(word)
    yield stretch


def _end(words: Sequence[SpokenWord], begin: int, rules: UtteranceRules, draw: Random) -> int:
    """Return the position after the last word of what begins at one."""
    start = words[begin].start
    fits = begin
    while fits < len(words) and words[fits].end - start <= rules.max_duration:
        fits += 1
    enough = [end for end in range(begin + 1, fits + 1) if words[end - 1].end - start >= rules.min_duration]
    full = [end for end in enough if rules.ends_sentence(words[end - 1])]
    by_chance = draw.random() >= rules.full_utterance_ratio
    usable = full if rules.punctuation_split_only else enough
    if by_chance and usable:
        return draw.choice(usable)
    if full:
        return full[-1]
    if rules.punctuation_split_only:
        # Nothing that begins here can be an utterance, up to where the next sentence begins.
        return next(
            (end for end in range(begin + 1, len(words) + 1) if rules.ends_sentence(words[end - 1])), len(words)
        )
    if fits == len(words):
        return fits
    return max(enough, key=lambda end: (words[end].start - words[end - 1].end, end), default=max(fits, begin + 1))


@dataclass
class PrepareModuleSegmentsStage(ProcessingStage[AudioTask, AudioTask]):
    """Make utterances of the words in ``segments``, as `MergeAlignmentDiarizationStage` leaves them, in place of these segments.

    An utterance goes on as long as it can and ends with a sentence; if none ends in time, at the longest pause. What is shorter than
    `min_duration` is left out, and counted as ``segment_short``, as is a word longer than `max_duration`, ``segment_long``. It has the keys of
    the segment that its first word is in, and ``start``, ``end``, ``text`` and words of its own. An entry of which nothing is left is
    dropped as ``no_utterances``.

    Attributes:
        module: ``"tts"``: an utterance is of one speaker. ``"asr"``: who speaks does not matter; if several do, ``speaker`` is the first.
        min_duration: Shortest utterance in seconds.
        max_duration: Longest utterance in seconds.
        max_pause: A longer pause ends an utterance, in seconds.
        terminal_punct_marks: With which marks sentences end.
        full_utterance_ratio: How many of all utterances shall end with a sentence, 0 to 1; others end anywhere, as recognisers have to cope
            with that. Chance is seeded with the path of the recording, so that results can be repeated.
        punctuation_split_only: No utterance ends but with a sentence; what does not get there in time is left out as ``segment_unfinished``.
        text_key: Key for the text of an utterance.
        words_key: Key of words, each with ``word``, ``start`` and ``end`` in seconds.
        audio_filepath_key: Key of the path.
    """

    module: Literal["tts", "asr"] = "tts"
    min_duration: float = 5.0
    max_duration: float = 20.0
    max_pause: float = 2.0
    terminal_punct_marks: str = _ENDS
    full_utterance_ratio: float = 1.0
    punctuation_split_only: bool = False
    text_key: str = "text"
    words_key: str = "words"
    audio_filepath_key: str = "audio_filepath"
    name: str = "prepare_module_segments"

    def __post_init__(self) -> None:
        problems = {
            f"module must be 'tts' or 'asr', got {self.module!r}": self.module not in ("tts", "asr"),
            "min_duration must be less than max_duration, and not negative": not 0
            <= self.min_duration
            < self.max_duration,
            "max_pause must not be negative": not self.max_pause >= 0,
            "full_utterance_ratio must be from 0 to 1": not 0 <= self.full_utterance_ratio <= 1,
            "terminal_punct_marks must hold a mark": not self.terminal_punct_marks,
        }
        for problem, holds in problems.items():
            if holds:
                message = f"stage {self.name!r}: {problem}"
                raise OptionError(message)
        self._rules = UtteranceRules(
            self.min_duration,
            self.max_duration,
            self.max_pause,
            self.module == "tts",
            self.full_utterance_ratio,
            self.punctuation_split_only,
            self.terminal_punct_marks,
        )

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the key of segments."""
        return ["data"], ["segments"]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what is written."""
        return ["data"], ["segments"]

    def process(self, task: AudioTask) -> AudioTask | None:
        """Return the task with utterances as its segments, or that there is none.

        Raises:
            DataError: A word has no text or no times.
        """
        segments: Sequence[Mapping[str, Any]] = task.data["segments"]
        seed = hashlib.sha256(str(task.data.get(self.audio_filepath_key) or "").encode()).digest()
        words, given = self._words(task, segments)
        found, lost = cut_utterances(words, self._rules, Random(seed))  # noqa: S311 - nothing secret
        for reason, count in lost.items():
            self.record_drops(f"segment_{reason}", count)
        if not found:
            return dropped("no_utterances")
        task.data["segments"] = [
            {
                **segments[piece[0].home],
                "start": piece[0].start,
                "end": max(word.end for word in piece),
                self.text_key: " ".join(word.text for word in piece),
                self.words_key: [given[word] for word in piece],
            }
            for piece in found
        ]
        return task

    def _words(
        self, task: AudioTask, segments: Sequence[Mapping[str, Any]]
    ) -> tuple[list[SpokenWord], dict[SpokenWord, Any]]:
        """Return all words in order, and what each was made of."""
        given: dict[SpokenWord, Any] = {}
        for home, segment in enumerate(segments):
            for word in segment.get(self.words_key) or ():
                try:
                    speaker = str(segment.get("speaker", ""))
                    found = SpokenWord(
                        str(word["word"]).strip(), float(word["start"]), float(word["end"]), home, speaker
                    )
                except (KeyError, TypeError, ValueError) as error:
                    message = f"stage {self.name!r}: a word in segment {home} of {task_name(task)} must have word, start and end, got {word!r}"
                    raise DataError(message) from error
                given[found] = word
        return sorted(given, key=lambda word: (word.start, word.end, word.home)), given
