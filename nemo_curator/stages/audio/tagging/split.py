"""`SplitLongAudioStage` and `JoinSplitAudioMetadataStage`: long recordings in parts for who cannot take them whole, and back."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.errors import DataError, OptionError, OutputError, require
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.refusals import refused, task_name
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import AudioTask
from nemo_curator.utils.output_manifest import OutputFolder

__all__ = ["JoinSplitAudioMetadataStage", "SplitLongAudioStage", "cut_points"]

Segment = Mapping[str, Any]


def cut_points(segments: Sequence[Segment], total: float, longest: float, shortest: float) -> list[float]:
    """Return where to cut a recording, in seconds, sorted, without its begin and end.

    Cuts are at the end of segments, if possible of one during which no other goes on, and as late as `longest` allows. Where no segment
    ends in time, the next end is taken, so that a part may be longer. No part is shorter than `shortest`.
    """
    ends = sorted({float(each["end"]) for each in segments if 0 < each["end"] < total})
    clean = [end for end in ends if not any(each["start"] < end < each["end"] for each in segments)]
    cuts: list[float] = []
    begin = 0.0
    while total - begin > longest:
        usable = [[end for end in some if begin + shortest <= end <= total - shortest] for some in (clean, ends)]
        in_time = [[end for end in some if end <= begin + longest] for some in usable]
        late = [some[:1] for some in usable]
        chosen = next((some for some in (*in_time, *late) if some), None)
        if chosen is None:
            break
        begin = chosen[-1]
        cuts.append(begin)
    return cuts


@dataclass
class SplitLongAudioStage(ProcessingStage[AudioTask, AudioTask]):
    """Cut recordings that are too long at ends of segments, see `cut_points`, into files beside them: ``<name>_split_000.wav``.

    Needs ``segments`` with ``start`` and ``end`` in seconds. Adds ``split_filepaths``, ``split_offsets`` (where each begins, in seconds),
    ``split_timestamps`` (begin and end of each) and ``split_metadata`` (an object for each, for who works on the parts). A recording that
    is short enough is its own only part.

    Attributes:
        suggested_max_len: Longest part in seconds, if segments end in time.
        min_len: Shortest part in seconds.
        audio_filepath_key: Key of the path; ``audio_filepath`` is taken where it is missing.
        limits: What is read of a file at most.
    """

    suggested_max_len: float = 3600.0
    min_len: float = 1.0
    audio_filepath_key: str = "resampled_audio_filepath"
    name: str = "split_long_audio"
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        if not 0 <= self.min_len < self.suggested_max_len:
            message = f"stage {self.name!r}: min_len must be less than suggested_max_len, and not negative"
            raise OptionError(message)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the key of segments."""
        return ["data"], ["segments"]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what is written."""
        return ["data"], ["split_filepaths", "split_metadata", "split_offsets", "split_timestamps"]

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if nothing reads audio."""
        require("soundfile", extra="audio", purpose=f"stage {self.name!r}")

    def process(self, task: AudioTask) -> AudioTask | None:
        """Return the task with its parts.

        Raises:
            OutputError: A part cannot be written.
        """
        from nemo_curator.stages.audio.common.decoding import audio_info, read_audio

        data = task.data
        path = str(data.get(self.audio_filepath_key) or data.get("audio_filepath") or "")
        try:
            total = audio_info(path, limits=self.limits).seconds
            cuts = cut_points(data["segments"], total, self.suggested_max_len, self.min_len)
            edges = [0.0, *cuts, total]
            if cuts:
                waveform, rate = read_audio(path, mono=False, limits=self.limits)
                paths = self._write(path, waveform, rate, edges)
            else:
                paths = [path]
        except UnreadableAudio as error:
            return refused(self, task, error)
        except OSError as error:
            message = f"stage {self.name!r}: the parts of {path} cannot be written beside it: {error.strerror or error}"
            raise OutputError(message) from error
        data["split_filepaths"] = paths
        data["split_offsets"] = edges[:-1]
        data["split_timestamps"] = [[start, end] for start, end in itertools.pairwise(edges)]
        data["split_metadata"] = [
            {"audio_filepath": part, "duration": end - start}
            for part, (start, end) in zip(paths, data["split_timestamps"], strict=True)
        ]
        return task

    def _write(self, path: str, waveform: Any, rate: int, edges: Sequence[float]) -> list[str]:
        import soundfile  # pyright: ignore[reportMissingImports] - an extra

        folder, name = os.path.split(path)
        output, stem = OutputFolder(folder or "."), os.path.splitext(name)[0]
        paths: list[str] = []
        for number, (start, end) in enumerate(itertools.pairwise(edges)):
            part = f"{stem}_split_{number:03d}.wav"
            content = io.BytesIO()
            soundfile.write(
                content, waveform[:, round(start * rate) : round(end * rate)].T, rate, format="WAV", subtype="PCM_16"
            )
            with output.writing(part) as handle:
                handle.write(content.getvalue())
            paths.append(os.path.join(folder, part))
        return paths


@dataclass
class JoinSplitAudioMetadataStage(ProcessingStage[AudioTask, AudioTask]):
    """Put what was found out about the parts of a recording together again.

    The texts of ``split_metadata`` become one, and so do their ``alignment`` (words with ``start`` and ``end``), moved by ``split_offsets``.
    ``split_filepaths`` and ``split_metadata`` are removed. An entry without parts stays as it is.

    Attributes:
        text_key: Key of the texts, and of the whole.
    """

    text_key: str = "text"
    name: str = "join_split_audio_metadata"

    def process(self, task: AudioTask) -> AudioTask:
        """Return the task with one text and one alignment.

        Raises:
            DataError: There are not as many offsets as parts.
        """
        data = task.data
        parts = data.get("split_metadata")
        if parts is None:
            return task
        offsets = data.get("split_offsets") or []
        if len(offsets) != len(parts):
            message = f"stage {self.name!r}: {task_name(task)} has {len(parts)} parts and {len(offsets)} split_offsets"
            raise DataError(message)
        texts = [str(part.get(self.text_key) or "").strip() for part in parts]
        data[self.text_key] = " ".join(text for text in texts if text)
        data["alignment"] = [
            {**word, "start": word["start"] + offset, "end": word["end"] + offset}
            for part, offset in zip(parts, offsets, strict=True)
            for word in part.get("alignment") or ()
        ]
        for key in ("split_filepaths", "split_metadata"):
            data.pop(key, None)
        return task
