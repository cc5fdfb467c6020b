"""`SegmentExtractionStage`: segments become files."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.errors import OptionError, OutputError, require
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits
from nemo_curator.stages.audio.common.places import absolute, check_writable
from nemo_curator.stages.audio.common.refusals import refused
from nemo_curator.stages.audio.io.extraction import (
    FORMATS,
    detect_combo,
    extract_pieces,
    extract_segments,
    load_manifest,
    load_manifests,
    metadata_csv,
)
from nemo_curator.stages.base import ProcessingStage, Topology
from nemo_curator.tasks import AudioTask
from nemo_curator.utils.output_manifest import OutputFolder, RunOutput, WrittenFile

__all__ = ["SegmentExtractionStage", "detect_combo", "extract_segments", "load_manifest", "load_manifests"]

_log = logging.getLogger(__name__)


@dataclass
class SegmentExtractionStage(ProcessingStage[AudioTask, AudioTask]):
    """Cut every entry's segment out of its recording, into a file of `output_dir`.

    Where a segment lies is told by ``original_file`` (or ``audio_filepath``) with ``original_start_ms`` and ``original_end_ms`` (or
    ``start_ms`` and ``end_ms``); with ``speaker_id`` and ``diar_segments`` every interval of the speaker is a file. Names are
    ``<recording>_segment_000.wav``, or ``<recording>_speaker_<id>_segment_000.wav``. ``metadata.csv`` has a row for each: filename,
    original_file, segment_index, start_sec, end_sec, duration, speaker_id, num_speakers and scores rounded to four places.

    The entries get ``segment_filepaths``. One whose recording cannot be used is dropped with its reason, one without a range as ``no_range``.

    The stage sees all entries at once, so that numbers depend on them alone, and files are the same when it is done twice. Put it after
    `TimestampMapperStage`, which leaves no waveforms in entries.

    Attributes:
        output_dir: The folder.
        output_format: ``"wav"`` (16 bits), ``"flac"`` or ``"ogg"`` (Vorbis).
        batch_size: Not used: see above.
        limits: What is read of a recording at most.
    """

    name: str = "segment_extraction"
    output_dir: str = ""
    output_format: str = "wav"
    batch_size: int | None = 64
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    topology = Topology.BARRIER

    def __post_init__(self) -> None:
        if not self.output_dir:
            message = f"stage {self.name!r}: output_dir must name a folder"
            raise OptionError(message)
        if self.output_format not in FORMATS:
            message = (
                f"stage {self.name!r}: output_format {self.output_format!r} is not known; known: {', '.join(FORMATS)}"
            )
            raise OptionError(message)
        self.output_dir = absolute(self.output_dir)
        self._folder = OutputFolder(self.output_dir)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the key of paths."""
        return ["data"], ["segment_filepaths"]

    def num_workers(self) -> int | None:
        """Return 1: everything is one call."""
        return 1

    def check_before_run(self) -> None:
        """Raise `OutputError` if the folder cannot be written, `MissingExtra` if nothing writes audio."""
        require("soundfile", extra="audio", purpose=f"stage {self.name!r}")
        check_writable(self.name, self.output_dir)

    def process(self, task: AudioTask) -> AudioTask:
        """Raise: the stage works on batches."""
        message = f"stage {self.name!r} works on batches; call process_batch"
        raise NotImplementedError(message)

    def process_batch(self, tasks: list[AudioTask]) -> list[Any]:
        """Write the files of all entries; return the entries with their paths, or that they were dropped.

        Raises:
            OutputError: A file cannot be written.
        """
        try:
            result = extract_pieces([task.data for task in tasks], self._folder, self.output_format, self.limits)
            with self._folder.writing("metadata.csv") as handle:
                handle.write(metadata_csv(result.rows))
        except OSError as error:
            message = f"stage {self.name!r}: cannot write to {self.output_dir}: {error.strerror or error}. Files written before are complete"
            raise OutputError(message) from error
        table = WrittenFile(self._folder.url("metadata.csv"), len(result.rows), handle.nbytes, handle.sha256)
        for file in (*result.written, table):
            self.record_written(file)
        kept: list[Any] = []
        for number, task in enumerate(tasks):
            if number in result.files:
                task.data["segment_filepaths"] = result.files[number]
                kept.append(task)
            else:
                kept.append(refused(self, task, result.failed[number]))
        return kept

    def commit_output(self, output: RunOutput) -> None:
        """Lay the manifest of files down."""
        self._folder.commit(output)

    def extract_from_manifest(self, path: str) -> dict[str, Any]:
        """Do the same for a manifest, without a pipeline, and write ``extraction_summary.json`` too; return what is in it.

        Raises:
            DataError: A line is not a JSON object.
            InputError: There is no manifest.
        """
        entries = load_manifest(path)
        result = extract_segments(entries, self.output_dir, self.output_format, limits=self.limits)
        for number, error in result.failed.items():
            _log.warning("stage %r: nothing is made of entry %d: %s", self.name, number, error)
        summary = {
            "manifest": path,
            "combo": detect_combo(entries[0]) if entries else "timestamps",
            "entries": len(entries),
            "failed_entries": len(result.failed),
            "files": len(result.rows),
            "total_duration_sec": round(sum(row["duration"] for row in result.rows), 4),
            "output_format": self.output_format,
        }
        with self._folder.writing("extraction_summary.json") as handle:
            handle.write((json.dumps(summary, indent=2) + "\n").encode())
        return summary
