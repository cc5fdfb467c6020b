"""`ClientPartitioningStage`: the files below one folder, local or in a store, as paths that know their filesystem."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from nemo_curator.errors import DataError, InputError
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import EmptyTask, FileGroupTask
from nemo_curator.utils.client_utils import FSPath, is_remote_url
from nemo_curator.utils.file_listing import (
    has_extension,
    iter_files,
    local_path,
    normalize_extensions,
    path_exists,
    resolve_url,
)
from nemo_curator.utils.file_utils import infer_dataset_name_from_path

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["ClientPartitioningStage"]


@dataclass
class ClientPartitioningStage(FilePartitioningStage):
    """List the files below a folder, or those of a list in JSON; every so many become a task, in the order of paths.

    The tasks' paths are `FSPath`, which open themselves wherever they are. Their metadata have ``storage_options`` too.

    Attributes:
        file_paths: One folder, a path or a URL that fsspec knows; what is below it, at any depth. Of a web server, where folders are
            pages of links, the URL ends in a slash.
        files_per_partition: Files in a task; 1 by default.
        blocksize: Not looked at: sizes are not asked for.
        file_extensions: What names must end in, not looking at case or a compression suffix; all files by default.
        storage_options: For the filesystem.
        limit: Files to keep, from the first.
        input_list_json_path: A file with an array of paths, to take these and no others. They are below the folder: relative to it,
            or in full.
    """

    name: str = "client_partitioning"
    input_list_json_path: str | None = None

    def __post_init__(self) -> None:
        given: object = self.file_paths
        if not isinstance(given, str):
            message = f"stage {self.name!r}: file_paths must be one folder, got {type(given).__name__}"
            raise TypeError(message)
        super().__post_init__()
        self._extensions = normalize_extensions(self.file_extensions or [])
        path = self.input_list_json_path
        self.input_list_json_path = path if path is None or is_remote_url(path) else local_path(path)
        self._fs: AbstractFileSystem | None = None
        self._root = ""

    def check_before_run(self) -> None:
        """Raise `InputError` if there is no such folder, and what reading the list would raise."""
        (root,) = self._entries
        if not path_exists(root, self.storage_options):
            message = (
                f"stage {self.name!r}: {root} does not exist. Check the path, and whether storage_options may list it"
            )
            raise InputError(message)
        if self.input_list_json_path is not None:
            fs, inner = resolve_url(root, self.storage_options)
            list(self._listed(fs, inner))

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Resolve the filesystem."""
        self._fs, self._root = resolve_url(self._entries[0], self.storage_options)

    def process(self, task: EmptyTask) -> list[FileGroupTask]:
        """Return the tasks; none, with a warning, when there are no files.

        Raises:
            RuntimeError: `setup` was not called.
            InputError: The list is not there.
            TypeError: It is not an array of paths.
            ValueError: A path of it is not below the folder.
        """
        fs = self._fs
        if fs is None:
            message = f"stage {self.name!r}: setup() must be called before process(); the executors of this package do"
            raise RuntimeError(message)
        names = self._listed(fs, self._root) if self.input_list_json_path is not None else self._below(fs)
        wanted = {name for name in names if not self._extensions or has_extension(name, self._extensions)}
        paths = [FSPath(fs, name) for name in sorted(wanted)][: self.limit]
        if not paths:
            self._warn_about_nothing()
            return []
        step = self.files_per_partition or 1
        groups = [paths[start : start + step] for start in range(0, len(paths), step)]
        dataset = infer_dataset_name_from_path(paths[0].as_posix())
        return [
            FileGroupTask(
                dataset_name=dataset,
                data=group,
                _metadata={
                    "partition_index": index,
                    "total_partitions": len(groups),
                    "source_files": [path.as_posix() for path in group],
                    "storage_options": self.storage_options,
                },
            )
            for index, group in enumerate(groups)
        ]

    def _below(self, fs: AbstractFileSystem) -> Iterator[str]:
        for file in iter_files(self._entries[0], storage_options=self.storage_options):
            yield str(fs._strip_protocol(file.path))

    def _listed(self, fs: AbstractFileSystem, root: str) -> Iterator[str]:
        """Yield the paths of the list, on the filesystem of the folder."""
        entries: object = self._read_list()
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in cast("list[object]", entries)):
            message = f'stage {self.name!r}: {self.input_list_json_path} must have an array of paths, ["a.mp4", ...]'
            raise TypeError(message)
        # Within an archive there is nothing before names.
        folder = root.rstrip("/") + "/" if root.strip("/") else ""
        for entry in cast("list[str]", entries):
            name = _normal(_path_on(fs, entry) if _is_whole(entry) else posixpath.join(root, entry))
            if not name.startswith(folder) or name.startswith("../") or (not folder and "://" in name):
                message = f"stage {self.name!r}: {entry} of {self.input_list_json_path} is not below {self._entries[0]}; name files in it"
                raise ValueError(message)
            yield name

    def _read_list(self) -> Any:
        path = cast("str", self.input_list_json_path)
        fs, inner = resolve_url(path, self.storage_options if is_remote_url(path) else None)
        try:
            return json.loads(fs.cat_file(inner))
        except FileNotFoundError as error:
            message = f"stage {self.name!r}: the list {path} is not there. Check input_list_json_path"
            raise InputError(message) from error
        except ValueError as error:
            message = f"stage {self.name!r}: {path} is not JSON: {error}. It must have an array of paths"
            raise DataError(message) from error


def _path_on(fs: AbstractFileSystem, entry: str) -> str:
    """Return a URL as a path on the filesystem; of another filesystem, where a path of the same name would be another file, the URL."""
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    is_here = not is_remote_url(entry) or entry.partition("://")[0].lower() in protocols
    return str(fs._strip_protocol(entry)) if is_here else entry


def _normal(path: str) -> str:
    """Return a path without steps up and down; the filesystem of the web keeps its protocol and host in paths."""
    protocol, separator, rest = path.rpartition("://")
    return protocol + separator + posixpath.normpath(rest)


def _is_whole(entry: str) -> bool:
    return "://" in entry or entry.startswith("/")
