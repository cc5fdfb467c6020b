"""`ClientPartitioningStage`: files of one place, on any filesystem that fsspec knows, as paths that bring their filesystem with them."""

from __future__ import annotations

import json
import logging
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import EmptyTask, FileGroupTask
from nemo_curator.utils.client_utils import FSPath, is_remote_url
from nemo_curator.utils.file_listing import has_extension, iter_files, normalize_extensions, path_exists, resolve_url
from nemo_curator.utils.file_utils import infer_dataset_name_from_path

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["ClientPartitioningStage"]

_log = logging.getLogger(__name__)


@dataclass
class ClientPartitioningStage(FilePartitioningStage):
    """List the files below a URL or a folder, or take them from a list, and group them. Tasks hold `FSPath` objects.

    For readers that open what they are given, as `VideoReaderStage` and `ManifestReaderStage` do. Paths that bring their filesystem bring
    its `storage_options` too, and so does ``_metadata["storage_options"]``: with keys in these, do not keep tasks where others can read them.

    A task has `files_per_partition` files, or one. `blocksize`, `split_files` and `in_order` are not looked at: files are never asked for
    their size, and come sorted by path. `limit` counts files here, and not groups.

    Attributes:
        file_paths: The place, one path or URL. It is looked through with all its folders; a glob pattern is fine. Of a
            web server, where folders are pages of links, its URL ends in a slash.
        file_extensions: What names must end in, not looking at case; `None` takes every file.
        input_list_json_path: A JSON file with an array of the files to take, as paths in the place or URLs below it; nothing is listed then.
            It may be on another filesystem, which gets no options.
    """

    name: str = "client_partitioning"
    input_list_json_path: str | None = None

    def __post_init__(self) -> None:
        place: object = self.file_paths
        if not isinstance(place, str):
            message = f"stage {self.name!r}: file_paths must be one path or URL, got {type(place).__name__}; list files in input_list_json_path"
            raise TypeError(message)
        super().__post_init__()
        self._extensions = normalize_extensions(self.file_extensions or ())
        if self.limit is not None and self.limit < 1:
            message = f"stage {self.name!r}: limit must be positive, got {self.limit}"
            raise OptionError(message)
        self._place: tuple[AbstractFileSystem, str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_place": None}

    def check_before_run(self) -> None:
        """Raise unless there is a file to read, or the list names one.

        Raises:
            InputError: The place, the list, or any file of the wanted kind is not there.
            DataError: The list is no JSON, or names a file elsewhere.
            TypeError: It is no array of texts.
        """
        place = self._entries[0]
        fs, root = resolve_url(place, self.storage_options)
        if self.input_list_json_path is not None:
            found = any(self._is_wanted(path) for path in self._from_list(fs, root))
        elif not path_exists(place, self.storage_options):
            message = f"stage {self.name!r}: there is nothing at {place}. Check the path, and whether storage_options may list it"
            raise InputError(message)
        else:
            found = any(self._is_wanted(file.path) for file in iter_files(root, fs=fs, lazily=True))
        if not found:
            message = f"stage {self.name!r}: no {self._kinds()} in {self.input_list_json_path or place}. Check it, and file_extensions"
            raise InputError(message)

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Resolve the filesystem."""
        self._place = resolve_url(self._entries[0], self.storage_options)

    def process(self, task: EmptyTask) -> list[FileGroupTask]:
        """Return a task for every group; none, with a warning, when there are no files.

        Raises:
            RuntimeError: `setup` was not called.
            InputError: The list is gone.
            DataError: It names a file elsewhere.
            TypeError: It is no array of texts.
        """
        if self._place is None:
            message = f"stage {self.name!r} has no filesystem yet; call setup before process, as a pipeline does"
            raise RuntimeError(message)
        fs, root = self._place
        paths = self._paths(fs, root)[: self.limit]
        if not paths:
            _log.warning(
                "stage %r: no %s in %s", self.name, self._kinds(), self.input_list_json_path or self._entries[0]
            )
            return []
        step = self.files_per_partition or 1
        groups = [paths[start : start + step] for start in range(0, len(paths), step)]
        dataset = infer_dataset_name_from_path(FSPath(fs, paths[0]).as_posix())
        return [
            self._task(dataset, [FSPath(fs, path) for path in group], number, len(groups))
            for number, group in enumerate(groups)
        ]

    def _task(self, dataset: str, files: list[FSPath], number: int, total: int) -> FileGroupTask:
        told: dict[str, Any] = {"partition_index": number, "total_partitions": total, "source_files": files}
        told["storage_options"] = dict(self.storage_options or {})
        return FileGroupTask(dataset_name=dataset, data=files, _metadata=told)

    def _paths(self, fs: AbstractFileSystem, root: str) -> list[str]:
        if self.input_list_json_path is not None:
            found = self._from_list(fs, root)
        else:
            found = [cast("str", fs._strip_protocol(file.path)) for file in iter_files(root, fs=fs)]
        return sorted({path for path in found if self._is_wanted(path)})

    def _is_wanted(self, path: str) -> bool:
        return not self._extensions or has_extension(path, self._extensions)

    def _kinds(self) -> str:
        return f"{' or '.join(self._extensions)} file" if self._extensions else "file"

    def _from_list(self, fs: AbstractFileSystem, root: str) -> list[str]:
        """Return the files of the list, as paths on the filesystem."""
        path = str(self.input_list_json_path)
        try:
            list_fs, inner = resolve_url(path)
            listed: Any = json.loads(cast("bytes", list_fs.cat_file(inner)))
        except OSError as error:
            message = f"stage {self.name!r}: the list of files {path} cannot be read: {error.strerror or error}"
            raise InputError(message) from error
        except ValueError as error:
            message = f"stage {self.name!r}: the list of files {path} is not JSON in UTF-8: {error}"
            raise DataError(message) from error
        if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in cast("list[Any]", listed)):
            message = f"stage {self.name!r}: {path} must hold an array of paths or URLs, as JSON"
            raise TypeError(message)
        return [self._below(fs, root, entry) for entry in cast("list[str]", listed)]

    def _below(self, fs: AbstractFileSystem, root: str, entry: str) -> str:
        """Return an entry of the list as a path below the root, where a relative one counts from."""
        is_whole = is_remote_url(entry) or "://" in entry or entry.startswith("/")
        path = cast("str", fs._strip_protocol(entry)) if is_whole else posixpath.join(root, entry)
        same = not is_remote_url(entry) or entry.partition("://")[0].lower() in _protocols(fs)
        if not same or ".." in path.split("/") or not path.startswith(root.rstrip("/") + "/"):
            message = f"stage {self.name!r}: {entry!r} in {self.input_list_json_path} is not below {self._entries[0]}"
            raise DataError(message)
        return path


def _protocols(fs: AbstractFileSystem) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
