"""`SegmentConcatenationStage`: the segments of a file become one waveform, with a note of where each came from."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.audio.common.limits import UnreadableAudio
from nemo_curator.stages.audio.common.refusals import dropped, task_name
from nemo_curator.stages.audio.common.waveforms import usable_waveform
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask

__all__ = ["SegmentConcatenationStage"]

_log = logging.getLogger(__name__)


@dataclass
class SegmentConcatenationStage(ProcessingStage[AudioTask, AudioTask]):
    """Put the segments of every entry together, in the order of ``segment_num`` and ``start_ms``, with silence in between.

    A segment without a usable waveform, or of another rate or number of channels than the first usable one, is left out, with a warning.
    An entry without any is dropped as ``no_segments``.

    Writes ``waveform``, ``sample_rate``, ``original_file``, ``num_segments`` and ``total_duration_sec``, and nothing else. The metadata
    gets ``segment_mappings``: for each segment ``original_file``, ``original_start_ms``, ``original_end_ms``, ``concat_start_ms``,
    ``concat_end_ms`` and ``segment_index``, from which `TimestampMapperStage` finds the way back.

    Attributes:
        silence_duration_sec: Silence between two segments, in seconds.
    """

    silence_duration_sec: float = 0.5
    name: str = "SegmentConcatenation"

    def __post_init__(self) -> None:
        if not self.silence_duration_sec >= 0:
            message = f"stage {self.name!r}: silence_duration_sec must not be negative, got {self.silence_duration_sec}"
            raise OptionError(message)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what is written."""
        return ["data"], ["waveform", "sample_rate", "original_file", "num_segments", "total_duration_sec"]

    def process(self, task: AudioTask) -> AudioTask | None:
        """Return the joined segments, or that there are none.

        Raises:
            DataError: The entry has no list ``segments``.
        """
        import numpy as np

        segments = task.data.get("segments")
        if not isinstance(segments, list):
            message = f"stage {self.name!r}: {task_name(task)} has no list 'segments'; VADSegmentationStage(nested=True) makes one"
            raise DataError(message)
        usable = self._usable(cast("list[dict[str, Any]]", segments), task)
        if not usable:
            return dropped("no_segments")
        rate, channels = usable[0][2], len(usable[0][1])
        silence = np.zeros((channels, round(self.silence_duration_sec * rate)), dtype=np.float32)
        source = _source_of(task.data)
        parts: list[Any] = []
        mappings: list[dict[str, Any]] = []
        at = 0
        for index, (segment, waveform, _) in enumerate(usable):
            if index:
                parts.append(silence)
                at += silence.shape[1]
            length = waveform.shape[1]
            start = segment.get("start_ms", 0)
            mappings.append(
                {
                    "original_file": segment.get("original_file") or source,
                    "original_start_ms": start,
                    "original_end_ms": segment.get("end_ms", start + round(1000 * length / rate)),
                    "concat_start_ms": round(1000 * at / rate),
                    "concat_end_ms": round(1000 * (at + length) / rate),
                    "segment_index": index,
                }
            )
            parts.append(waveform)
            at += length
        data = {
            "waveform": np.concatenate(parts, axis=1),
            "sample_rate": rate,
            "original_file": source or mappings[0]["original_file"],
            "num_segments": len(usable),
            "total_duration_sec": at / rate,
        }
        return AudioTask(dataset_name=task.dataset_name, data=data, _metadata={"segment_mappings": mappings})

    def _usable(self, segments: Sequence[dict[str, Any]], task: AudioTask) -> list[tuple[dict[str, Any], Any, int]]:
        found: list[tuple[dict[str, Any], Any, int]] = []
        for segment in sorted(segments, key=lambda each: (each.get("segment_num", 0), each.get("start_ms", 0))):
            what = f"segment {segment.get('segment_num', '?')} of {task_name(task)}"
            try:
                waveform, rate = usable_waveform(segment.get("waveform", ()), segment.get("sample_rate"), what)
            except UnreadableAudio as error:
                _log.warning("stage %r: left out: %s", self.name, error)
                continue
            if found and (rate, len(waveform)) != (found[0][2], len(found[0][1])):
                _log.warning("stage %r: left out: %s has %d Hz and %d channels", self.name, what, rate, len(waveform))
                continue
            found.append((segment, waveform, rate))
        return found


def _source_of(data: Mapping[str, Any]) -> str:
    return str(data.get("original_file") or data.get("audio_filepath") or "")
