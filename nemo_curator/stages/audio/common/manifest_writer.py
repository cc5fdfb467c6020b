"""`ManifestWriterStage`: entries become one manifest, complete when the run is."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import DataError, OutputError
from nemo_curator.stages.audio.common.entries import to_line
from nemo_curator.stages.audio.common.places import absolute, check_writable, require_text
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import AudioTask
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.output_manifest import OutputFolder, RunOutput, WrittenFile

__all__ = ["ManifestWriterStage"]

_SAFE_ID = re.compile(r"[0-9A-Za-z_-]{1,150}")


@dataclass
class ManifestWriterStage(ProcessingStage[AudioTask, AudioTask]):
    """Write every entry as a line of one JSON Lines file, in UTF-8. Waveforms and other arrays are left out.

    In a run every call writes a file of its own into the folder ``<output_path>.parts``, under a name made from the task's id: writing
    again after a crash replaces it by the same. When the run is complete, and not before, the parts are put together in the order
    of ids, and the result takes the place of an earlier manifest. The parts stay: a later run with the same checkpoint goes on from them.
    ``with_(batch_size=256)`` makes fewer and larger parts, of entries that then finish together.
    Shards that finish at the same moment may leave one of them out of the file; the last one to finish has all.

    Called without an engine, `process` appends its line to the file, which `setup` empties.

    Attributes:
        output_path: The manifest, a local path or a URL that fsspec knows. A relative one is resolved where the stage is built.
        storage_options: For fsspec.
    """

    output_path: str
    name: str = "manifest_writer"
    storage_options: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        require_text(self.name, output_path=self.output_path)
        self.output_path = absolute(self.output_path)
        folder, self._file = posixpath.split(self.output_path)
        self._folder = OutputFolder(folder, self.storage_options)
        self._parts = OutputFolder(f"{self.output_path}.parts", self.storage_options)
        self._begins = False

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_begins": False}

    def check_before_run(self) -> None:
        """Raise `OutputError` if the manifest cannot be written there."""
        if os.path.isdir(self.output_path):
            message = f"stage {self.name!r}: {self.output_path} is a folder; output_path must name a file"
            raise OutputError(message)
        check_writable(self.name, self._folder.path)

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Make the folder."""
        self._folder.make()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Note that a file written without an engine begins anew."""
        self._begins = True

    def process(self, task: AudioTask) -> AudioTask:
        """Write the entry; return a task with the same.

        Raises:
            DataError: It holds a value that JSON has no word for.
            OutputError: It cannot be written: no space, no permission, no connection.
        """
        self._write([task])
        return AudioTask(dataset_name=task.dataset_name, data=task.data, filepath_key=task.filepath_key)

    def process_batch(self, tasks: list[AudioTask]) -> list[AudioTask]:
        """Write entries, in a run as one part; return as many tasks with the same."""
        self._write(tasks)
        return [
            AudioTask(dataset_name=task.dataset_name, data=task.data, filepath_key=task.filepath_key) for task in tasks
        ]

    def _write(self, tasks: list[AudioTask]) -> None:
        lines = b"".join(map(self._line, tasks))
        try:
            if all(task.task_id for task in tasks):
                name = f"{_part_name([task.task_id for task in tasks])}.jsonl"
                with self._parts.writing(name) as handle:
                    handle.write(lines)
                self.record_written(WrittenFile(self._parts.url(name), len(tasks), handle.nbytes, handle.sha256))
            else:
                self._append(lines)
        except OSError as error:
            message = f"stage {self.name!r}: cannot write {self.output_path}: {error.strerror or error}. What was written before is complete"
            raise OutputError(message) from error

    def _line(self, task: AudioTask) -> bytes:
        try:
            return to_line(task.data)
        except (TypeError, ValueError) as error:
            message = f"stage {self.name!r}: task {task.task_id or task!r} cannot be written as JSON: {error}"
            raise DataError(message) from error

    def _append(self, lines: bytes) -> None:
        if is_remote_url(self.output_path):
            message = (
                f"stage {self.name!r} writes to {self.output_path} in a pipeline only: nothing can be appended there"
            )
            raise OutputError(message)
        self._folder.make()
        with open(self.output_path, "wb" if self._begins else "ab") as handle:
            handle.write(lines)
        self._begins = False

    def commit_output(self, output: RunOutput) -> None:
        """Note which parts belong to the run, remove others, and put them together."""
        self._parts.commit(output, replaces=(".jsonl",))
        names = {name for entries in self._parts.manifests().values() for name in entries}
        fs, folder = self._parts.place
        try:
            with self._folder.writing(self._file) as handle:
                for name in sorted(names, key=_in_order):
                    path = posixpath.join(folder, name)
                    if fs is None:
                        with open(path, "rb") as part:
                            handle.write(part.read())
                    else:
                        handle.write(fs.cat_file(path))
        except OSError as error:
            message = (
                f"stage {self.name!r}: the parts of {self.output_path} are whole, but it cannot be put together: {error.strerror or error}. "
                "Run again: with a checkpoint_path only this is left to do"
            )
            raise OutputError(message) from error


def _part_name(ids: list[str]) -> str:
    """Return a name that says what is in a part, and sorts like its first task."""
    if len(ids) == 1 and _SAFE_ID.fullmatch(ids[0]):
        return ids[0]
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]
    return f"{ids[0]}-{digest}" if _SAFE_ID.fullmatch(ids[0]) else digest


def _in_order(name: str) -> list[tuple[int, int, str]]:
    """Return a key that puts the ids 0_9 and 0_10 in that order."""
    pieces = re.split(r"[_.-]", name)
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]
