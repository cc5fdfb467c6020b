"""`ALMDataBuilderStage` and `ALMDataOverlapStage`: training windows for audio language models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.audio.alm.windows import WindowRules, best_windows, build_windows, span_of
from nemo_curator.stages.audio.common.refusals import task_name
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask

__all__ = ["ALMDataBuilderStage", "ALMDataOverlapStage"]


@dataclass
class ALMDataBuilderStage(ProcessingStage[AudioTask, AudioTask]):
    """Put the diarised segments of a recording together to windows of about two minutes, one for every segment that one can begin at.

    A window goes on as long as segments have the bandwidth, their speakers are known and not too many. A segment that would make it longer than
    the target and its tolerance ends it; with `truncation` it is cut after a word. A window counts if its length is within the tolerance,
    it has two segments or more, and enough speakers.

    Needs ``audio_filepath``, ``segments`` (each with ``start``, ``end``, ``speaker`` and ``metrics.bandwidth``, to be cut also
    ``words``) and ``audio_sample_rate``. Writes ``windows`` (``segments`` and ``speaker_durations``: five numbers, longest first), ``stats``
    (how many segments of how many seconds no window begins at, by reason, see `LOSSES`) and ``truncation_events``.

    Attributes:
        target_window_duration: Wanted length in seconds.
        tolerance: How far from it a window may be, as a fraction.
        min_bandwidth: Least bandwidth of a segment in Hz.
        min_sample_rate: Least sample rate of the recording in Hz; below it there are no windows.
        min_speakers: Fewest speakers in a window.
        max_speakers: Most speakers in a window.
        truncation: Whether segments are cut.
        drop_fields: Keys to leave out of the segments of windows, with commas between.
        drop_fields_top_level: Keys to leave out of the entry.
    """

    target_window_duration: float = 120.0
    tolerance: float = 0.1
    min_bandwidth: int = 8000
    min_sample_rate: int = 16000
    min_speakers: int = 2
    max_speakers: int = 5
    truncation: bool = True
    drop_fields: str = "words"
    drop_fields_top_level: str = "words,segments"
    name: str = "alm_data_builder"

    def __post_init__(self) -> None:
        problems = {
            "target_window_duration must be above 0": not self.target_window_duration > 0,
            "tolerance must be from 0 to 1": not 0 <= self.tolerance <= 1,
            "min_speakers must not be above max_speakers": self.min_speakers > self.max_speakers,
        }
        for problem, holds in problems.items():
            if holds:
                message = f"stage {self.name!r}: {problem}"
                raise OptionError(message)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return what the stage needs."""
        return ["data"], ["audio_filepath", "segments", "audio_sample_rate"]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what it writes."""
        return ["data"], ["windows", "stats", "truncation_events"]

    def process(self, task: AudioTask) -> AudioTask:
        """Return the entry with its windows.

        Raises:
            DataError: Its segments have no times.
        """
        data = task.data
        segments, rate = data["segments"], data["audio_sample_rate"]
        if not isinstance(segments, list) or not isinstance(rate, (int, float)):
            message = (
                f"stage {self.name!r}: {task_name(task)} must have a list of segments and a number as audio_sample_rate"
            )
            raise DataError(message)
        rules = WindowRules(
            target=self.target_window_duration,
            tolerance=self.tolerance,
            min_bandwidth=self.min_bandwidth,
            min_speakers=self.min_speakers,
            max_speakers=self.max_speakers,
            truncation=self.truncation,
            drop_fields=_names(self.drop_fields),
        )
        try:
            built = build_windows(segments, rules, rate_is_enough=rate >= self.min_sample_rate)
        except DataError as error:
            message = f"stage {self.name!r}: {task_name(task)}: {error}"
            raise DataError(message) from error
        left_out = _names(self.drop_fields_top_level)
        kept: dict[str, Any] = {key: value for key, value in data.items() if key not in left_out}
        kept |= {"windows": built.windows, "stats": built.stats, "truncation_events": built.truncation_events}
        return AudioTask(dataset_name=task.dataset_name, data=kept, filepath_key=task.filepath_key)


@dataclass
class ALMDataOverlapStage(ProcessingStage[AudioTask, AudioTask]):
    """Choose from the windows of a recording, so that no two overlap by more than is allowed; see `best_windows`.

    Writes ``filtered_windows``, the windows that are left, ``filtered`` (their begin and end in seconds), ``filtered_dur_list`` and
    ``filtered_dur`` (their lengths, one by one and together); the same of all windows as ``total_dur_list_window_timestamps``,
    ``total_dur_list_window`` and ``total_dur_window``; and ``manifest_filepath`` and ``swift_filepath`` as they were, or empty.

    Attributes:
        overlap_percentage: Two windows that overlap by this share of the shorter one, or more, do not both stay. 0: none overlap.
        target_duration: Of two windows the one nearer to this length stays.
    """

    overlap_percentage: float = 0
    target_duration: float = 120.0
    name: str = "alm_data_overlap"

    def __post_init__(self) -> None:
        if not 0 <= self.overlap_percentage <= 100:
            message = f"stage {self.name!r}: overlap_percentage must be from 0 to 100, got {self.overlap_percentage}"
            raise OptionError(message)
        if not self.target_duration > 0:
            message = f"stage {self.name!r}: target_duration must be above 0, got {self.target_duration}"
            raise OptionError(message)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the key of windows."""
        return ["data"], ["windows"]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what it writes."""
        told = ["total_dur_window", "total_dur_list_window", "total_dur_list_window_timestamps"]
        return ["data"], ["filtered_windows", "filtered_dur", "filtered_dur_list", "filtered", *told]

    def process(self, task: AudioTask) -> AudioTask:
        """Return the entry with the windows that are left."""
        windows = task.data["windows"]
        left = best_windows(windows, self.overlap_percentage / 100, self.target_duration)
        for prefix, chosen in (("filtered", left), ("total", windows)):
            spans = [list(span_of(window)) for window in chosen]
            lengths = [end - start for start, end in spans]
            keys = {
                "filtered": ("filtered", "filtered_dur_list", "filtered_dur"),
                "total": ("total_dur_list_window_timestamps", "total_dur_list_window", "total_dur_window"),
            }[prefix]
            task.data.update(zip(keys, (spans, lengths, sum(lengths)), strict=True))
        task.data["filtered_windows"] = left
        for key in ("manifest_filepath", "swift_filepath"):
            task.data.setdefault(key, "")
        return task


def _names(listed: str) -> frozenset[str]:
    return frozenset(name.strip() for name in listed.split(",") if name.strip())
