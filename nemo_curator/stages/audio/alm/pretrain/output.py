"""What snippets leave on disk: their sound, manifests of them, and a summary."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import Any, Literal

from nemo_curator.errors import OptionError, OutputError
from nemo_curator.stages.audio.alm.pretrain.planning import count_in, recording_id
from nemo_curator.stages.audio.alm.pretrain.stages import stats_of
from nemo_curator.stages.audio.common.decoding import require_decoding
from nemo_curator.stages.audio.common.entries import to_line
from nemo_curator.stages.audio.common.limits import DEFAULT_LIMITS, AudioLimits, UnreadableAudio
from nemo_curator.stages.audio.common.places import absolute, check_writable, require_text
from nemo_curator.stages.audio.common.refusals import refused
from nemo_curator.stages.audio.common.waveforms import resample
from nemo_curator.stages.audio.io.extraction import FORMATS
from nemo_curator.stages.base import ProcessingStage, Topology
from nemo_curator.tasks import AudioTask
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.output_manifest import OutputFolder, RunOutput, WrittenFile

__all__ = ["PretrainMetricsAggregatorStage", "SnippetExtractionStage", "SnippetManifestWriterStage"]

# Times in manifests are often rounded; seconds.
_TOLERANCE = 0.1


@dataclass
class SnippetExtractionStage(ProcessingStage[AudioTask, AudioTask]):
    """Cut the snippets of a recording, which is read once, and write them: as files, or into one tar archive.

    A file is called ``<snippet_id>.<format>``; an archive ``<recording>.tar``, and has ``<snippet_id>.json`` with the snippet's entry beside each,
    as WebDataset wants it. Snippets get ``audio_filepath``, the file or the archive, ``sample_rate``, and in archives ``member``. Files appear
    complete, and are the same when it is done twice. A snippet that ends behind its recording is left out, as its text is not in it, and counted
    as ``snippet_behind_end``.

    A recording that cannot be used is dropped with its reason.

    Attributes:
        output_dir: The folder.
        output_format: ``"wav"`` (16 bits), ``"flac"`` or ``"ogg"`` (Vorbis).
        container: ``"files"`` or ``"tar"``.
        sample_rate: In Hz; `None` leaves it as it is.
        audio_filepath_key: Key of the path of the recording.
        limits: What is read of a recording at most.
    """

    output_dir: str
    output_format: str = "flac"
    container: Literal["files", "tar"] = "files"
    sample_rate: int | None = 16000
    audio_filepath_key: str = "audio_filepath"
    name: str = "snippet_extraction"
    limits: AudioLimits = field(default=DEFAULT_LIMITS, kw_only=True)

    def __post_init__(self) -> None:
        require_text(self.name, output_dir=self.output_dir)
        problems = {
            f"output_format {self.output_format!r} is not known; known: {', '.join(FORMATS)}": self.output_format
            not in FORMATS,
            f"container must be 'files' or 'tar', got {self.container!r}": self.container not in ("files", "tar"),
            f"sample_rate must be above 0, got {self.sample_rate}": self.sample_rate is not None
            and self.sample_rate < 1,
        }
        for problem, holds in problems.items():
            if holds:
                message = f"stage {self.name!r}: {problem}"
                raise OptionError(message)
        self._folder = OutputFolder(absolute(self.output_dir))

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the keys of path and snippets."""
        return ["data"], [self.audio_filepath_key, "snippets"]

    def check_before_run(self) -> None:
        """Raise `OutputError` if the folder cannot be written, `MissingExtra` if packages are missing."""
        require_decoding(self.name)
        check_writable(self.name, self._folder.path)

    def process(self, task: AudioTask) -> AudioTask | None:
        """Return the task with its snippets' files.

        Raises:
            OutputError: A file cannot be written.
        """
        from nemo_curator.stages.audio.common.decoding import read_audio

        path = str(task.data[self.audio_filepath_key])
        planned = task.data["snippets"]
        if not planned:
            return task
        try:
            waveform, rate = read_audio(path, mono=True, limits=self.limits)
        except UnreadableAudio as error:
            return refused(self, task, error)
        good = [each for each in planned if each["end"] <= waveform.shape[1] / rate + _TOLERANCE]
        self.record_drops("snippet_behind_end", len(planned) - len(good))
        count_in(stats_of(task), snippet_behind_end=len(planned) - len(good))
        cut = [(each, waveform[:, round(each["start"] * rate) : round(each["end"] * rate)]) for each in good]
        try:
            encoded = [self._encoded(snippet, samples, rate) for snippet, samples in cut]
            if self.container == "tar":
                self._write_tar(f"{recording_id(path)}.tar", encoded)
            else:
                for snippet, content in encoded:
                    self._put(f"{snippet['snippet_id']}.{self.output_format}", content, 1)
        except OSError as error:
            message = f"stage {self.name!r}: cannot write to {self._folder.path}: {error.strerror or error}. Files written before are complete"
            raise OutputError(message) from error
        task.data["snippets"] = [snippet for snippet, _ in encoded]
        return task

    def _encoded(self, snippet: dict[str, Any], samples: Any, rate: int) -> tuple[dict[str, Any], bytes]:
        import soundfile  # pyright: ignore[reportMissingImports] - an extra

        wanted = self.sample_rate or rate
        kind, subtype = FORMATS[self.output_format]
        content = io.BytesIO()
        soundfile.write(content, resample(samples, rate, wanted).T, wanted, format=kind, subtype=subtype)
        name = f"{snippet['snippet_id']}.{self.output_format}"
        return {**snippet, "audio_filepath": self._folder.url(name), "sample_rate": wanted}, content.getvalue()

    def _write_tar(self, name: str, encoded: list[tuple[dict[str, Any], bytes]]) -> None:
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for snippet, sound in encoded:
                snippet["audio_filepath"] = self._folder.url(name)
                snippet["member"] = f"{snippet['snippet_id']}.{self.output_format}"
                for member, data in ((snippet["member"], sound), (f"{snippet['snippet_id']}.json", to_line(snippet))):
                    info = tarfile.TarInfo(member)
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
        self._put(name, content.getvalue(), len(encoded))

    def _put(self, name: str, content: bytes, rows: int) -> None:
        with self._folder.writing(name) as handle:
            handle.write(content)
        self.record_written(WrittenFile(self._folder.url(name), rows, handle.nbytes, handle.sha256))

    def commit_output(self, output: RunOutput) -> None:
        """Lay the manifest of files down."""
        self._folder.commit(output)


@dataclass
class SnippetManifestWriterStage(ProcessingStage[AudioTask, AudioTask]):
    """Write manifests of snippets, one JSON object a line: a shard for every batch of recordings.

    A line has the keys of its snippet, ``source_filepath``, and the keys of the recording that `passthrough_keys` names. Shards are called
    ``snippets-<hash of the tasks' ids>.jsonl``, and are replaced by the same when they are written again. A batch without snippets has none.

    Attributes:
        output_dir: The folder.
        passthrough_keys: Keys of the recording to repeat in every line, where it has them.
        audio_filepath_key: Key of the path of the recording.
        batch_size: Recordings in a shard.
    """

    output_dir: str
    passthrough_keys: tuple[str, ...] = ("language",)
    audio_filepath_key: str = "audio_filepath"
    name: str = "snippet_manifest_writer"
    batch_size: int | None = 64

    def __post_init__(self) -> None:
        require_text(self.name, output_dir=self.output_dir)
        self._folder = OutputFolder(absolute(self.output_dir))

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the keys of path and snippets."""
        return ["data"], [self.audio_filepath_key, "snippets"]

    def check_before_run(self) -> None:
        """Raise `OutputError` if the folder cannot be written."""
        check_writable(self.name, self._folder.path)

    def process(self, task: AudioTask) -> AudioTask:
        """Write a shard of one recording; return the task."""
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[AudioTask]) -> list[AudioTask]:
        """Write a shard; return the tasks.

        Raises:
            OutputError: It cannot be written.
        """
        lines = [self._line(task, snippet) for task in tasks for snippet in task.data["snippets"]]
        if lines:
            ids = [task.task_id or str(task.data[self.audio_filepath_key]) for task in tasks]
            name = f"snippets-{get_deterministic_hash(ids)}.jsonl"
            try:
                with self._folder.writing(name) as handle:
                    handle.write(b"".join(lines))
            except OSError as error:
                message = f"stage {self.name!r}: cannot write {self._folder.url(name)}: {error.strerror or error}"
                raise OutputError(message) from error
            self.record_written(WrittenFile(self._folder.url(name), len(lines), handle.nbytes, handle.sha256))
        return tasks

    def _line(self, task: AudioTask, snippet: dict[str, Any]) -> bytes:
        repeated = {key: task.data[key] for key in self.passthrough_keys if key in task.data}
        return to_line({**repeated, "source_filepath": str(task.data[self.audio_filepath_key]), **snippet})

    def commit_output(self, output: RunOutput) -> None:
        """Note which shards belong to the run, and remove others."""
        self._folder.commit(output, replaces=(".jsonl",))


@dataclass
class PretrainMetricsAggregatorStage(ProcessingStage[AudioTask, AudioTask]):
    """Write a summary of all recordings as one JSON object: recordings, snippets, their hours, words and lengths, and what was left out.

    The stage sees all entries at once. In a run that goes on from a checkpoint these are the ones that the run has worked on.

    Attributes:
        output_path: The file.
    """

    output_path: str
    name: str = "pretrain_metrics_aggregator"

    topology = Topology.BARRIER

    def __post_init__(self) -> None:
        require_text(self.name, output_path=self.output_path)
        folder, _, self._file = absolute(self.output_path).rpartition("/")
        self._folder = OutputFolder(folder)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the key of snippets."""
        return ["data"], ["snippets"]

    def num_workers(self) -> int | None:
        """Return 1: everything is one call."""
        return 1

    def check_before_run(self) -> None:
        """Raise `OutputError` if the file cannot be written."""
        check_writable(self.name, self._folder.path)

    def process(self, task: AudioTask) -> AudioTask:
        """Raise: the stage works on batches."""
        message = f"stage {self.name!r} works on batches; call process_batch"
        raise NotImplementedError(message)

    def process_batch(self, tasks: list[AudioTask]) -> list[AudioTask]:
        """Write the summary; return the tasks.

        Raises:
            OutputError: It cannot be written.
        """
        snippets = [snippet for task in tasks for snippet in task.data["snippets"]]
        lengths = [snippet["duration"] for snippet in snippets]
        left_out: dict[str, float] = {}
        for task in tasks:
            count_in(left_out, **stats_of(task))
        seen = {name: left_out.pop(name, 0) for name in ("segments", "segment_seconds", "planned")}
        summary = {
            "recordings": len(tasks),
            "recordings_without_snippets": sum(not task.data["snippets"] for task in tasks),
            "segments": int(seen["segments"]),
            "segment_hours": round(seen["segment_seconds"] / 3600, 4),
            "snippets": len(snippets),
            "snippet_hours": round(sum(lengths) / 3600, 4),
            "shortest_sec": min(lengths, default=0.0),
            "longest_sec": max(lengths, default=0.0),
            "words": sum(len(str(snippet["text"]).split()) for snippet in snippets),
            "left_out": {name: int(count) for name, count in sorted(left_out.items())},
        }
        try:
            with self._folder.writing(self._file) as handle:
                handle.write((json.dumps(summary, indent=2) + "\n").encode())
        except OSError as error:
            message = f"stage {self.name!r}: cannot write {self.output_path}: {error.strerror or error}"
            raise OutputError(message) from error
        return tasks
