"""Stages from long recordings to snippets: reading, filtering, planning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from nemo_curator.errors import DataError, InputError, OptionError, require
from nemo_curator.models.loaded import loaded
from nemo_curator.stages.audio.alm.pretrain.planning import (
    check_segments,
    count_in,
    plan_snippets,
    repetition,
    without_overlaps,
    words_of,
)
from nemo_curator.stages.audio.common.manifest_reader import ManifestReaderStage
from nemo_curator.stages.audio.common.refusals import task_name
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask, FailedTask

__all__ = [
    "OverlapFilterStage",
    "ReadLongFormManifestStage",
    "SnippetCutPlannerStage",
    "SnippetRepetitionFilterStage",
    "stats_of",
]


def stats_of(task: AudioTask) -> dict[str, float]:
    """Return what stages have counted of a recording."""
    return cast("dict[str, float]", task.data.setdefault("snippet_stats", {}))


@dataclass
class ReadLongFormManifestStage(ManifestReaderStage):
    """Make a task of every line of the manifests of a group, each a long recording with what is said in it.

    An entry has ``audio_filepath`` and ``segments``: a list of objects with ``start`` and ``end`` in seconds, and mostly ``text`` and
    ``speaker``. They are put in order. A line that is not so has failed, alone. Put it behind a `FilePartitioningStage`.

    Attributes:
        storage_options: For fsspec.
        audio_filepath_key: Key of the path of the audio.
        relative_to_manifest: A path of audio that is relative counts from the folder of its manifest.
    """

    name: str = "read_long_form_manifest"
    relative_to_manifest: bool = True

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what every entry has."""
        return ["data"], [self.audio_filepath_key, "segments", "snippet_stats"]

    def _entries(self, given: object, path: str, dataset: str) -> Iterator[AudioTask]:
        for task in super()._entries(given, path, dataset):
            yield self._checked(task, path) if isinstance(task, AudioTask) else task

    def _checked(self, task: AudioTask, manifest: str) -> AudioTask:
        path = task.data.get(self.audio_filepath_key)
        try:
            if not isinstance(path, str) or not path:
                message = f"an entry of {manifest} has no path in {self.audio_filepath_key!r}"
                raise DataError(message)
            task.data["segments"] = check_segments(task.data.get("segments"), f"{path} in {manifest}")
        except DataError as error:
            return cast("AudioTask", FailedTask(reason=f"stage {self.name!r}: {error}; correct it, or take it out"))
        segments = task.data["segments"]
        seconds = sum(each["end"] - each["start"] for each in segments)
        count_in(stats_of(task), segments=len(segments), segment_seconds=round(seconds, 3))
        return task


@dataclass
class OverlapFilterStage(ProcessingStage[AudioTask, AudioTask]):
    """Leave out segments that others cover too much of, as when several speak at a time. All that take part in it go.

    They are counted as ``segment_overlap``. An entry stays, even if it has no segments left.

    Attributes:
        max_overlap: Share of a segment that others may cover, 0 to 1.
    """

    max_overlap: float = 0.0
    name: str = "overlap_filter"

    def __post_init__(self) -> None:
        if not 0 <= self.max_overlap <= 1:
            message = f"stage {self.name!r}: max_overlap must be from 0 to 1, got {self.max_overlap}"
            raise OptionError(message)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the key of segments."""
        return ["data"], ["segments"]

    def process(self, task: AudioTask) -> AudioTask:
        """Return the task with the segments that are left.

        Raises:
            DataError: Segments have no times.
        """
        segments = check_segments(task.data["segments"], task_name(task))
        kept = without_overlaps(segments, self.max_overlap)
        lost = len(segments) - len(kept)
        self.record_drops("segment_overlap", lost)
        count_in(stats_of(task), segment_overlap=lost)
        task.data["segments"] = kept
        return task


@dataclass
class SnippetCutPlannerStage(ProcessingStage[AudioTask, AudioTask]):
    """Plan snippets: segments that follow one another, together as long as there is room.

    Writes ``snippets``, each with ``snippet_id``, ``start``, ``end`` and ``duration`` in seconds, ``text``, ``num_segments`` and ``speakers``. Nothing
    is cut yet. Segments that are in no snippet are counted as ``segment_long`` and ``segment_short``.

    Attributes:
        min_duration: Shortest snippet in seconds.
        max_duration: Longest snippet in seconds.
        max_gap: Longest pause within a snippet in seconds.
        audio_filepath_key: Key of the path.
    """

    min_duration: float = 5.0
    max_duration: float = 30.0
    max_gap: float = 2.0
    audio_filepath_key: str = "audio_filepath"
    name: str = "snippet_cut_planner"

    def __post_init__(self) -> None:
        if not 0 <= self.min_duration < self.max_duration or not self.max_gap >= 0:
            message = (
                f"stage {self.name!r}: min_duration must be less than max_duration, and neither it nor max_gap negative"
            )
            raise OptionError(message)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the keys of path and segments."""
        return ["data"], [self.audio_filepath_key, "segments"]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the key of snippets."""
        return ["data"], ["snippets", "snippet_stats"]

    def process(self, task: AudioTask) -> AudioTask:
        """Return the task with its plan.

        Raises:
            DataError: Segments have no times.
        """
        snippets, lost = plan_snippets(
            check_segments(task.data["segments"], task_name(task)),
            str(task.data[self.audio_filepath_key]),
            shortest=self.min_duration,
            longest=self.max_duration,
            gap=self.max_gap,
        )
        for reason, count in lost.items():
            self.record_drops(reason, count)
        count_in(stats_of(task), planned=len(snippets), **lost)
        task.data["snippets"] = snippets
        return task


@dataclass(eq=False)
class SnippetRepetitionFilterStage(ProcessingStage[AudioTask, AudioTask]):
    """Leave out snippets whose text says the same again and again, as recognisers do over music and noise.

    Counted is the share of n-grams that were there before in the snippet. Those that go are counted as ``snippet_repetition``. A snippet
    without text stays.

    Attributes:
        n: Tokens in an n-gram.
        max_repetition: The greatest share that is fine, 0 to 1.
        tokenizer: A file ``tokenizer.json`` of Hugging Face's tokenizers (the extra ``onnx``); without one tokens are words, and signs of Chinese
            and Japanese.
    """

    n: int = 3
    max_repetition: float = 0.3
    tokenizer: str | None = None
    name: str = "snippet_repetition_filter"

    def __post_init__(self) -> None:
        if self.n < 1 or not 0 <= self.max_repetition <= 1:
            message = f"stage {self.name!r}: n must be at least 1, and max_repetition from 0 to 1"
            raise OptionError(message)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the key of snippets."""
        return ["data"], ["snippets"]

    def check_before_run(self) -> None:
        """Raise if the tokenizer cannot be loaded."""
        if self.tokenizer is not None:
            require("tokenizers", extra="onnx", purpose=f"stage {self.name!r}")
            if not Path(self.tokenizer).is_file():
                message = f"stage {self.name!r}: there is no tokenizer at {self.tokenizer}"
                raise InputError(message)

    def process(self, task: AudioTask) -> AudioTask:
        """Return the task with the snippets that are left."""
        snippets = task.data["snippets"]
        kept = [each for each in snippets if repetition(self._tokens(each["text"]), self.n) <= self.max_repetition]
        lost = len(snippets) - len(kept)
        self.record_drops("snippet_repetition", lost)
        count_in(stats_of(task), snippet_repetition=lost)
        task.data["snippets"] = kept
        return task

    def _tokens(self, text: str) -> list[Any]:
        if self.tokenizer is None:
            return words_of(text)
        there = loaded(self)
        if "tokenizer" not in there:
            self.check_before_run()
            from tokenizers import Tokenizer

            there["tokenizer"] = Tokenizer.from_file(self.tokenizer)
        return there["tokenizer"].encode(text, add_special_tokens=False).ids
