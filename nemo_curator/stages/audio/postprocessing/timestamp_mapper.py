"""`TimestampMapperStage`: where in the original file a result lies."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from nemo_curator.stages.audio.common.entries import SIGNAL_KEYS
from nemo_curator.stages.audio.common.refusals import dropped, task_name
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask

__all__ = ["DEFAULT_PASSTHROUGH_KEYS", "TimestampMapperStage"]

_log = logging.getLogger(__name__)

DEFAULT_PASSTHROUGH_KEYS = (
    *("speaker_id", "num_speakers", "speaking_duration", "sample_rate", "utmos_mos", "band_prediction"),
    *(f"sigmos_{part}" for part in ("noise", "ovrl", "sig", "col", "disc", "loud", "reverb")),
    *(f"dnsmos_{part}" for part in ("ovrl", "sig", "bak", "p808")),
)
_NEVER = SIGNAL_KEYS | {"segments"}


@dataclass
class TimestampMapperStage(ProcessingStage[AudioTask, AudioTask]):
    """Reduce every entry to what a manifest needs: the original file, where in it, and what was found out.

    Writes ``original_file``, ``original_start_ms``, ``original_end_ms``, ``duration_ms``, ``duration`` in seconds, and the keys of
    `passthrough_keys` that have a value. The place is the first of these that is known:

    * the segment that ``start_ms`` to ``end_ms`` lies in, if the waveform was put together of segments (metadata ``segment_mappings``).
      A range that touches none or several is dropped, as ``outside_segments`` or ``across_segments``;
    * ``start_ms`` to ``end_ms``;
    * from the first to the last of ``diar_segments``, pairs of seconds, which are then written too, with their sum as
      ``speaking_duration``;
    * the whole ``duration``;
    * nothing, with a warning: all zeros.

    Attributes:
        passthrough_keys: Keys to keep; by default those of speakers and of speech quality. Waveforms and segments are never kept.
    """

    passthrough_keys: list[str] | None = None
    name: str = "TimestampMapper"

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what is always written."""
        return ["data"], ["original_file", "original_start_ms", "original_end_ms", "duration_ms", "duration"]

    def process(self, task: AudioTask) -> AudioTask | None:
        """Return the reduced entry, or that its place cannot be told."""
        data = task.data
        keys = DEFAULT_PASSTHROUGH_KEYS if self.passthrough_keys is None else self.passthrough_keys
        kept = {key: data[key] for key in keys if key not in _NEVER and data.get(key) is not None}
        mappings = task._metadata.get("segment_mappings")
        source = str(data.get("original_file") or data.get("audio_filepath") or "")
        if mappings and _is_range(data.get("start_ms"), data.get("end_ms")):
            start, end = int(data["start_ms"]), int(data["end_ms"])
            hit = [each for each in mappings if start < each["concat_end_ms"] and end > each["concat_start_ms"]]
            if len(hit) != 1:
                what = "several segments" if hit else "no segment"
                _log.warning(
                    "stage %r dropped %s: %d to %d ms touches %s", self.name, task_name(task), start, end, what
                )
                return dropped("across_segments" if hit else "outside_segments")
            source = str(hit[0]["original_file"] or source)
            start, end = _in_original(hit[0], start, end)
        else:
            start, end, more = self._place(task)
            kept |= more
        entry = {
            "original_file": source,
            "original_start_ms": start,
            "original_end_ms": end,
            "duration_ms": end - start,
            "duration": (end - start) / 1000,
        }
        return AudioTask(dataset_name=task.dataset_name, data={**entry, **kept})

    def _place(self, task: AudioTask) -> tuple[int, int, dict[str, Any]]:
        data = task.data
        if _is_range(data.get("start_ms"), data.get("end_ms")):
            return int(data["start_ms"]), int(data["end_ms"]), {}
        turns = _turns(data.get("diar_segments"))
        if turns:
            spoken = round(sum(end - start for start, end in turns), 3)
            first, last = min(start for start, _ in turns), max(end for _, end in turns)
            return round(first * 1000), round(last * 1000), {"diar_segments": turns, "speaking_duration": spoken}
        duration = data.get("duration")
        if isinstance(duration, (int, float)) and duration > 0:
            return 0, round(duration * 1000), {}
        _log.warning(
            "stage %r: nothing tells where %s lies in its file; its times are zero", self.name, task_name(task)
        )
        return 0, 0, {}


def _is_range(start: object, end: object) -> bool:
    return isinstance(start, (int, float)) and isinstance(end, (int, float)) and start < end


def _in_original(mapping: Mapping[str, Any], start: int, end: int) -> tuple[int, int]:
    offset = mapping["original_start_ms"] - mapping["concat_start_ms"]
    start = max(start, mapping["concat_start_ms"])
    end = min(end, mapping["concat_end_ms"])
    return int(start + offset), int(end + offset)


def _turns(value: object) -> list[list[float]]:
    """Return turns of a speaker as pairs of seconds, rounded to milliseconds; dictionaries with ``start`` and ``end`` are fine too."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    pairs: list[list[float]] = []
    for turn in cast("Sequence[Any]", value):
        start, end = (turn["start"], turn["end"]) if isinstance(turn, Mapping) else turn
        pairs.append([round(float(start), 3), round(float(end), 3)])
    return pairs
