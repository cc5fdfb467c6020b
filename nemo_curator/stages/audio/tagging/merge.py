"""`MergeAlignmentDiarizationStage`: which word is whose; and the silences between speakers as segments."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nemo_curator.stages.audio.common.refusals import task_name
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask

__all__ = ["NO_SPEAKER", "MergeAlignmentDiarizationStage", "add_non_speaker_segments"]

_log = logging.getLogger(__name__)

NO_SPEAKER = "no-speaker"
"""The speaker of a segment in which nobody speaks."""


def add_non_speaker_segments(segments: Sequence[Mapping[str, Any]], duration: float) -> list[dict[str, Any]]:
    """Return the segments in order, and a segment of the speaker ``no-speaker`` for every gap between them and at both ends.

    Args:
        segments: With ``start`` and ``end`` in seconds; they may overlap.
        duration: Length of the recording in seconds.
    """
    filled: list[dict[str, Any]] = []
    at = 0.0
    for segment in sorted(segments, key=lambda each: (each["start"], each["end"])):
        if segment["start"] > at:
            filled.append({"speaker": NO_SPEAKER, "start": at, "end": segment["start"]})
        filled.append(dict(segment))
        at = max(at, segment["end"])
    if duration > at:
        filled.append({"speaker": NO_SPEAKER, "start": at, "end": duration})
    return filled


@dataclass
class MergeAlignmentDiarizationStage(ProcessingStage[AudioTask, AudioTask]):
    """Give every word of ``alignment`` to the segment that it lies in, and every segment its words and their text.

    Of several segments that a word lies in, or touches if it lies in none, the one gets it that it overlaps most, and then the first. Words
    outside of all segments are left out, with a warning.

    Attributes:
        text_key: Key for the text of a segment.
        words_key: Key for its words, each with ``word``, ``start`` and ``end`` in seconds.
    """

    text_key: str = "text"
    words_key: str = "words"
    name: str = "merge_alignment_diarization"

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return what is merged."""
        return ["data"], ["alignment", "segments"]

    def process(self, task: AudioTask) -> AudioTask:
        """Return the task with words in its segments."""
        segments = [{**each, self.words_key: []} for each in task.data["segments"]]
        lost = 0
        for word in sorted(task.data["alignment"], key=lambda each: (each["start"], each["end"])):
            home = self._home(word, segments)
            if home is None:
                lost += 1
            else:
                home[self.words_key].append(word)
        for segment in segments:
            segment[self.text_key] = " ".join(str(word["word"]) for word in segment[self.words_key])
        if lost:
            _log.warning(
                "stage %r: %d words of %s lie in no segment and are left out", self.name, lost, task_name(task)
            )
        task.data["segments"] = segments
        return task

    def _home(self, word: Mapping[str, Any], segments: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        best: tuple[bool, float] | None = None
        home: dict[str, Any] | None = None
        for segment in segments:
            overlap = min(word["end"], segment["end"]) - max(word["start"], segment["start"])
            inside = segment["start"] <= word["start"] and word["end"] <= segment["end"]
            if (overlap > 0 or inside) and (best is None or (inside, overlap) > best):
                best, home = (inside, overlap), segment
        return home
