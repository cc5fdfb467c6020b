"""`ManifestReader`: audio manifests, one JSON object a line, become tasks."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.tasks import AudioTask, EmptyTask, FailedTask, FileGroupTask
from nemo_curator.utils.client_utils import FSPath, is_remote_url
from nemo_curator.utils.compression import CompressionError, compression_of, decompress
from nemo_curator.utils.file_listing import local_path, resolve_url

__all__ = ["ManifestReader", "ManifestReaderStage"]

_EXTENSIONS = (".jsonl", ".json")


@dataclass
class ManifestReaderStage(ProcessingStage[FileGroupTask, AudioTask]):
    """Make a task of every line of the manifests of a group. Blank lines are passed over.

    A line that is not a JSON object in UTF-8 has failed, alone: with ``on_error="quarantine"`` all others go on.

    Attributes:
        storage_options: For fsspec.
        audio_filepath_key: Key of the path of the audio.
        relative_to_manifest: A path of audio that is relative counts from the folder of its manifest; otherwise it stays as it is
            written, and means the working folder of whoever reads it.
    """

    name: str = "manifest_reader_stage"
    storage_options: dict[str, Any] | None = None
    audio_filepath_key: str = "audio_filepath"
    relative_to_manifest: bool = False

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry an entry; which keys it has shows when it is read."""
        return ["data"], []

    def num_workers(self) -> int | None:
        """Return 1: reading lists is quick, and entries then come in their order."""
        return 1

    def process(self, task: FileGroupTask) -> list[AudioTask]:
        """Return the entries of all files of the group.

        Raises:
            InputError: A file is gone or may not be read.
            DataError: It is not compressed as its name says.
        """
        return [
            entry
            for given, path in zip(task.data, task.paths, strict=True)
            for entry in self._entries(given, path, task.dataset_name)
        ]

    def _entries(self, given: object, path: str, dataset: str) -> Iterator[AudioTask]:
        # Not splitlines: JSON strings may hold other characters that end a line for Python.
        for number, line in enumerate(self._content(given, path).removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
            if not line or line.isspace():
                continue
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError) as error:
                entry, problem = None, f"is not JSON in UTF-8 ({error})"
            else:
                problem = f"is {type(entry).__name__}, and not a JSON object"
            if isinstance(entry, dict):
                yield AudioTask(dataset_name=dataset, data=self._placed(cast("dict[str, Any]", entry), path))
            else:
                reason = f"stage {self.name!r}: line {number} of {path} {problem}; correct it, or take it out"
                # A failure is a value here, so that the lines around it are not lost with it.
                yield cast("AudioTask", FailedTask(reason=reason))

    def _placed(self, entry: dict[str, Any], manifest: str) -> dict[str, Any]:
        audio = entry.get(self.audio_filepath_key)
        if self.relative_to_manifest and isinstance(audio, str) and not is_remote_url(audio):
            entry[self.audio_filepath_key] = posixpath.join(posixpath.dirname(manifest), audio)
        return entry

    def _content(self, given: object, path: str) -> bytes:
        try:
            if isinstance(given, FSPath):
                data = given.get_bytes_cat_ranges()
            elif is_remote_url(path):
                fs, inner = resolve_url(path, self.storage_options)
                data = cast("bytes", fs.cat_file(inner))
            else:
                with open(local_path(path), "rb") as handle:
                    data = handle.read()
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            message = f"stage {self.name!r}: the manifest {path} cannot be read: {error.strerror or error}"
            raise InputError(message) from error
        method = compression_of(path)
        if method is None:
            return data
        try:
            return decompress(data, method)
        except CompressionError as error:
            message = f"stage {self.name!r}: {path} should be compressed with {method}, but {error}. Write or download it again"
            raise DataError(message) from error


@dataclass
class ManifestReader(CompositeStage[EmptyTask, AudioTask]):
    """List manifests and read them: a task for every entry.

    Attributes:
        manifest_path: A manifest, a folder, a glob pattern, or a list of these; local or URLs that fsspec knows.
        files_per_partition: Manifests in a group; the unit in which a run can be continued.
        blocksize: Bytes in a group, instead.
        file_extensions: What names must end in; a compression suffix after it is fine.
        storage_options: For fsspec.
        relative_to_manifest: A path of audio that is relative counts from the folder of its manifest.
    """

    manifest_path: str | list[str]
    name: str = "manifest_reader"
    files_per_partition: int | None = 1
    blocksize: int | str | None = None
    file_extensions: list[str] = field(default_factory=lambda: list(_EXTENSIONS))
    storage_options: dict[str, Any] | None = None
    relative_to_manifest: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        if not self.manifest_path:
            message = f"stage {self.name!r}: manifest_path must name a manifest, or a folder of manifests"
            raise OptionError(message)
        if self.blocksize is not None and self.files_per_partition == 1:
            # The default stands for "nothing said".
            self.files_per_partition = None
        self.decompose()  # refuses wrong options where the user wrote them

    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        """Return the stage that lists manifests and the stage that reads them."""
        partitioning = FilePartitioningStage(
            file_paths=self.manifest_path,
            files_per_partition=self.files_per_partition,
            blocksize=self.blocksize,
            file_extensions=self.file_extensions,
            storage_options=self.storage_options,
        )
        return [
            partitioning,
            ManifestReaderStage(storage_options=self.storage_options, relative_to_manifest=self.relative_to_manifest),
        ]

    def get_description(self) -> str:
        """Return what is read."""
        return f"Read the audio manifests {self.manifest_path}"
