"""What the writers have in common: a batch of documents in, a file out, complete or not at all."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import posixpath
from abc import abstractmethod
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, cast

from nemo_curator.errors import DataError, OptionError, OutputError, did_you_mean, require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import DocumentBatch, FileGroupTask
from nemo_curator.utils.atomic_io import atomic_output
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.output_manifest import DigestingHandle, OutputFolder, RunOutput, WrittenFile

__all__ = ["BaseWriter"]

_log = logging.getLogger(__name__)

_MODES = ("ignore", "error", "overwrite", "append")
# What `mode="overwrite"` takes for earlier output, beside files of the writer's own kind.
_DATA = (".jsonl", ".parquet")


@dataclass
class BaseWriter(ProcessingStage[DocumentBatch, FileGroupTask]):
    """Write every batch as one file of a folder. A subclass writes one format, through `open_output`.

    The name of a file is made from the batch's source files and task id: writing a batch again, after a crash or in another
    run, replaces its file by the same. A file appears under its name when it is complete. Building the stage touches
    nothing; the folder is made when the first file is written. When the run is complete, a manifest is laid down in the folder that
    names every file with rows, bytes and SHA-256, see `nemo_curator.utils.output_manifest`.

    Attributes:
        path: The folder, local or a URL that fsspec knows. A relative one is resolved where the stage is built.
        file_extension: What file names end in.
        write_kwargs: Options of the format, and ``storage_options`` for fsspec.
        fields: Columns to write, in this order; `None` for all.
        mode: What to do about files that are in the folder before the run.

            * ``"ignore"``: leave them; a file of the same name is replaced.
            * ``"error"``: refuse to start unless the folder is empty or does not exist.
            * ``"overwrite"``: when the run is complete, and not before, JSON Lines and Parquet files that it has not written are
              removed. A shard of an array removes only what the same shard wrote before, as others write to the folder too.
            * ``"append"``: only for subclasses that implement it.
        append_mode_implemented: Whether the subclass implements ``"append"``.
    """

    path: str
    file_extension: str = ""
    write_kwargs: dict[str, Any] = field(default_factory=dict)
    fields: list[str] | None = None
    name: str = "writer"
    mode: str = "ignore"
    append_mode_implemented: bool = False

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            message = (
                f"stage {self.name!r}: mode {self.mode!r} is not known; "
                f"known: {', '.join(_MODES)}.{did_you_mean(str(self.mode), _MODES)}"
            )
            raise OptionError(message)
        if self.mode == "append" and not self.append_mode_implemented:
            message = (
                f"stage {self.name!r} cannot append to files; mode='ignore' adds files beside those that are there"
            )
            raise NotImplementedError(message)
        given: object = self.fields
        if given is not None and (not isinstance(given, (list, tuple)) or not given):
            message = f"stage {self.name!r}: fields must be a list of column names or None for all, got {given!r}"
            raise OptionError(message)
        self.write_kwargs = dict(self.write_kwargs or {})
        path = os.fspath(self.path)
        self._folder = OutputFolder(
            path.rstrip("/") if is_remote_url(path) else local_path(path), self.write_kwargs.get("storage_options")
        )
        self._handle: DigestingHandle | None = None

    @abstractmethod
    def write_data(self, task: DocumentBatch, file_path: str) -> None:
        """Write the batch to `file_path`, a path of the output's filesystem: open it with `open_output`."""

    def get_file_extension(self) -> str:
        """Return what file names end in, without a leading dot and without the suffix of a compression."""
        return self.file_extension.lstrip(".")

    def get_compression_suffix(self) -> str:
        """Return what the compression of the whole file adds to its name, such as ``.gz``; nothing by default."""
        return ""

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the columns that will be written, if they were named."""
        return ["data"], list(self.fields or [])

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a list of paths."""
        return ["data"], []

    def validate_input(self, task: Any) -> bool:
        """Say whether the batch has the columns to write; one without rows may have none."""
        return (isinstance(task, DocumentBatch) and task.num_items == 0) or super().validate_input(task)

    def check_before_run(self) -> None:
        """Raise `OutputError` if the folder cannot be written, or with ``mode="error"`` if something is in it.

        `MissingExtra` comes first, if the packages that write text are not installed.
        """
        there = self._checked_location()
        if self.mode == "error" and there:
            message = (
                f"stage {self.name!r}: {self._folder.path} already has {len(there)} files, {there[0]} among them. "
                "Choose another folder, or mode='ignore' to write beside them"
            )
            raise OutputError(message)
        if self.mode == "overwrite" and there:
            message = "stage %r: %s already has %d files; data files among them that are not written again are removed at the end"
            _log.warning(message, self.name, self._folder.path, len(there))

    def check_before_resume(self) -> None:
        """Raise `OutputError` if the folder cannot be written. What is in it is the earlier run's, which goes on."""
        self._checked_location()

    def _checked_location(self) -> list[str]:
        """Return the names in the folder, if it is there and can be written to."""
        for package in ("pandas", "pyarrow"):
            require(package, extra="text", purpose=f"stage {self.name!r}")
        if not is_remote_url(self._folder.path):
            self._check_local(self._folder.path)
        return self._folder.names()

    def _check_local(self, folder: str) -> None:
        existing = folder
        while not os.path.lexists(existing) and os.path.dirname(existing) != existing:
            existing = os.path.dirname(existing)
        if not os.path.isdir(existing):
            message = f"stage {self.name!r}: cannot write to {folder}: {existing} is not a folder"
            raise OutputError(message)
        if not os.access(existing, os.W_OK | os.X_OK):
            message = f"stage {self.name!r}: cannot write to {folder}: {existing} is not writable for this user"
            raise OutputError(message)

    def commit_output(self, output: RunOutput) -> None:
        """Lay the manifest down; with ``mode="overwrite"`` remove what the run has not written."""
        own = f".{self.get_file_extension()}"
        self._folder.commit(output, replaces=(own, *_DATA) if self.mode == "overwrite" else None)

    def process(self, task: DocumentBatch) -> FileGroupTask:
        """Write the batch; the result names the file.

        Raises:
            OutputError: The file cannot be written: no space, no permission, no connection.
            DataError: The batch has no such column, or values that the format cannot hold.
        """
        _, folder = self._folder.place
        name = self._file_name(task)
        target = posixpath.join(folder, name)
        try:
            self._folder.make()
            self.write_data(task, target)
            handle, self._handle = self._handle, None
            nbytes, digest = self._folder.digest(name) if handle is None else (handle.nbytes, handle.sha256)
        except OutputError:
            raise
        except OSError as error:
            message = (
                f"stage {self.name!r}: cannot write {target}: {error.strerror or error}. "
                "No part of it was left; files written before are complete"
            )
            raise OutputError(message) from error
        published = self._folder.url(name)
        self.record_written(WrittenFile(published, task.num_items, nbytes, digest))
        return FileGroupTask(
            dataset_name=task.dataset_name, data=[published], _metadata={"format": self.get_file_extension()}
        )

    @contextmanager
    def open_output(self, file_path: str) -> Generator[IO[bytes]]:
        """Open the file for writing; it appears, complete, when the block ends well."""
        fs, _ = self._folder.place
        with atomic_output(file_path, fs=fs) as raw:
            self._handle = DigestingHandle(raw)
            yield cast("IO[bytes]", self._handle)

    def select_fields(self, task: DocumentBatch) -> Any:
        """Return the payload with the columns of `fields`.

        Raises:
            DataError: It has rows but not all of these columns, or two columns of the same name.
        """
        data: Any = task.data
        there = task.get_columns()
        repeated = sorted(name for name, count in Counter(there).items() if count > 1)
        if repeated:
            message = f"stage {self.name!r}: task {task.task_id or task.dataset_name} has several columns named {', '.join(repeated)}"
            raise DataError(message)
        if self.fields is None:
            return data
        missing = [name for name in self.fields if name not in there]
        if missing and task.num_items:
            message = (
                f"stage {self.name!r}: task {task.task_id or task.dataset_name} has no column {', '.join(map(repr, missing))}; "
                f"it has: {', '.join(there) or 'none'}"
            )
            raise DataError(message)
        present = [name for name in self.fields if name in there]
        return data[present] if hasattr(data, "iloc") else data.select(present)

    def _file_name(self, task: DocumentBatch) -> str:
        sources = [str(path) for path in task._metadata.get("source_files") or []]
        # Without an engine tasks have no ids; the content keeps two such batches from sharing a name.
        seed = task.task_id or ("" if sources else hashlib.sha256(pickle.dumps(task.data)).hexdigest())
        extension = self.get_file_extension()
        suffix = self.get_compression_suffix()
        return f"{get_deterministic_hash(sources, seed)}.{extension}{'' if extension.endswith(suffix) else suffix}"
