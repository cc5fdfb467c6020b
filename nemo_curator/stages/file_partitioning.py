"""`FilePartitioningStage`: from a path to groups of files, each read as one task."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from glob import has_magic
from itertools import pairwise
from typing import Any

from nemo_curator.errors import InputError, OptionError, did_you_mean
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks import EmptyTask, FileGroupTask
from nemo_curator.utils.byte_sizes import format_bytes, parse_bytes_string_to_int
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.compression import compression_of, extensions_of
from nemo_curator.utils.file_listing import (
    FoundFile,
    has_extension,
    iter_files,
    local_path,
    normalize_extensions,
    path_exists,
)
from nemo_curator.utils.file_utils import infer_dataset_name_from_path

__all__ = ["FilePartitioningStage"]

_log = logging.getLogger(__name__)

_DEFAULT_EXTENSIONS = [".jsonl", ".json", ".parquet"]
_LARGE_FILE = 512 * 1000**2
_PART = 256 * 1000**2
_READERS = {
    ".parquet": "ParquetReader",
    ".jsonl": "JsonlReader",
    ".json": "JsonlReader",
    ".html": "HtmlFileReader",
    ".htm": "HtmlFileReader",
}
# Asking an object store about every path of a long list takes minutes; what is missing then shows when it is read.
_REMOTE_PATHS_CHECKED = 16


@dataclass(frozen=True, slots=True)
class _Group:
    """What becomes a task: files, or a part of one."""

    paths: list[str]
    byte_range: tuple[int, int] | tuple[()] = ()


@dataclass
class FilePartitioningStage(ProcessingStage[EmptyTask, FileGroupTask]):
    """List files and group them; every group becomes a task. The source of most pipelines.

    The order is by path, with `blocksize` by size. Without `files_per_partition` and `blocksize` every file is a group.
    Relative paths are resolved where the stage is built, so that they mean the same in every worker. A file that is named
    twice is read once.

    Attributes:
        file_paths: A folder (searched with all its subfolders), a file, a glob pattern, or a list of these (folders in a list
            are searched without subfolders). Local paths or URLs that fsspec knows.
        files_per_partition: Files in a group.
        blocksize: Bytes in a group, as a number or like ``"128MB"``; a larger file is a group of its own.
        file_extensions: What file names must end in, not looking at case or a compression suffix: ``.jsonl`` takes
            ``.jsonl.gz`` too. Default: .jsonl, .json and .parquet.
        storage_options: For fsspec.
        limit: Groups to keep, from the first.
        split_files: Cut files that are larger than the blocksize (256 MB when neither `blocksize` nor `files_per_partition` is given)
            into parts of at most that size, each a group of its own. For readers that can begin in the middle, see
            `FileGroupTask.byte_range`; compressed files stay whole.
        in_order: With `blocksize`, group files that follow one another by path, so that documents come in the same order however
            large the groups are. Otherwise files of about the same size are together, in fewer groups.
    """

    file_paths: str | list[str]
    files_per_partition: int | None = None
    blocksize: int | str | None = None
    file_extensions: list[str] | None = None
    storage_options: dict[str, Any] | None = None
    limit: int | None = None
    name: str = "file_partitioning"
    split_files: bool = False
    in_order: bool = False
    # Not annotated, so that it is not an argument of the constructor.
    resources = Resources(cpus=0.5)

    def __post_init__(self) -> None:
        given: object = self.file_paths
        if not isinstance(given, (str, list)):
            message = f"stage {self.name!r}: file_paths must be a path or a list of paths, got {type(given).__name__}"
            raise TypeError(message)
        if self.files_per_partition is not None and self.blocksize is not None:
            message = f"stage {self.name!r}: give files_per_partition or blocksize, not both"
            raise OptionError(message)
        self._block_bytes = None if self.blocksize is None else parse_bytes_string_to_int(self.blocksize)
        for option, value in (("files_per_partition", self.files_per_partition), ("blocksize", self._block_bytes)):
            if value is not None and value <= 0:
                message = f"stage {self.name!r}: {option} must be positive, got {value}"
                raise OptionError(message)
        if self._block_bytes is not None and self._block_bytes > _LARGE_FILE:
            _log.warning(
                "stage %r: with a blocksize of %s a worker holds several times that in memory",
                self.name,
                format_bytes(self._block_bytes),
            )
        entries = [self.file_paths] if isinstance(self.file_paths, str) else self.file_paths
        self._entries = [path if is_remote_url(path) else local_path(path) for path in map(os.fspath, entries)]
        self._extensions = normalize_extensions(self.file_extensions or _DEFAULT_EXTENSIONS)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a list of paths."""
        return ["data"], []

    def num_workers(self) -> int | None:
        """Return 1: there is one list."""
        return 1

    def check_before_run(self) -> None:
        """Raise `InputError` unless every path exists and one of them leads to a file of the wanted kind.

        The search ends at the first such file, so that files are listed in full only once, by `process`.
        """
        if not self._entries:
            message = f"stage {self.name!r}: file_paths is an empty list; name at least one file or folder"
            raise InputError(message)
        remote = 0
        for entry in self._entries:
            remote += is_remote_url(entry)
            if remote > _REMOTE_PATHS_CHECKED:
                break
            if not path_exists(entry, self.storage_options):
                message = f"stage {self.name!r}: {_explain_missing(entry)}"
                raise InputError(message)
        others: Counter[str] = Counter()
        for file in self._found(lazily=True):
            if has_extension(file.path, self._extensions):
                return
            others[_kind(file.path)] += 1
        message = f"stage {self.name!r}: {self._explain_unwanted(others)}"
        raise InputError(message)

    def process(self, task: EmptyTask) -> list[FileGroupTask]:
        """Return a task for every group; none, with a warning, when there are no files."""
        by_path = {file.path: file for file in self._found() if has_extension(file.path, self._extensions)}
        if not by_path:
            self._warn_about_nothing()
            return []
        files = [by_path[path] for path in sorted(by_path)]
        groups = self._groups_of(files)
        dataset = infer_dataset_name_from_path(files[0].path)
        return [
            FileGroupTask(
                dataset_name=dataset,
                data=group.paths,
                _metadata={"partition_index": index, "total_partitions": len(groups), "source_files": group.paths},
                reader_config={"byte_range": list(group.byte_range)} if group.byte_range else {},
            ).reached_with(self.storage_options)
            for index, group in enumerate(groups[: self.limit])
        ]

    def _found(self, *, lazily: bool = False) -> Iterator[FoundFile]:
        recurse = isinstance(self.file_paths, str)
        for entry in self._entries:
            yield from iter_files(entry, recurse=recurse, storage_options=self.storage_options, lazily=lazily)

    def _parts_of(self, file: FoundFile) -> list[_Group]:
        """Return the parts that a file is read in; none if it is read whole."""
        most = _PART if self.files_per_partition is None and self._block_bytes is None else self._block_bytes
        if not self.split_files or most is None or file.size <= most or compression_of(file.path) is not None:
            return []
        number = -(-file.size // most)
        cuts = [file.size * part // number for part in range(number + 1)]
        return [_Group([file.path], bounds) for bounds in pairwise(cuts)]

    def _groups_of(self, files: list[FoundFile]) -> list[_Group]:
        if self.in_order and self._block_bytes is not None:
            return list(self._group_in_order(files, self._block_bytes))
        cut = [part for file in files for part in self._parts_of(file)]
        in_parts = {part.paths[0] for part in cut}
        groups = [_Group(paths) for paths in self._group([file for file in files if file.path not in in_parts])] + cut
        if self._block_bytes is None:
            groups.sort(key=lambda group: (group.paths[0], group.byte_range))
        return groups

    def _group_in_order(self, files: list[FoundFile], block: int) -> Iterator[_Group]:
        together: list[str] = []
        room = block
        for file in files:
            parts, size = self._parts_of(file), max(file.size, 0)
            if together and (parts or size > room):
                yield _Group(together)
                together, room = [], block
            if parts:
                yield from parts
            else:
                together.append(file.path)
                room -= size
        if together:
            yield _Group(together)

    def _group(self, files: list[FoundFile]) -> list[list[str]]:
        if self._block_bytes is not None:
            return self._group_by_size(files, self._block_bytes)
        if self.files_per_partition is None:
            self._warn_about_large(files, _LARGE_FILE)
        step = self.files_per_partition or 1
        paths = [file.path for file in files]
        return [paths[start : start + step] for start in range(0, len(paths), step)]

    def _group_by_size(self, files: list[FoundFile], block: int) -> list[list[str]]:
        self._warn_about_large(files, block)
        groups: list[list[str]] = []
        room = 0
        for file in sorted(files, key=lambda file: (file.size, file.path)):
            size = max(file.size, 0)
            if not groups or size > room:
                groups.append([])
                room = block
            groups[-1].append(file.path)
            room -= size
        return groups

    def _warn_about_large(self, files: list[FoundFile], bound: int) -> None:
        large = [file for file in files if file.size > bound]
        if large:
            _log.warning(
                "stage %r: %d of %d files are larger than %s, %s first; each is read as one task. Split JSON Lines with "
                "`split -C 256m`, or write Parquet in smaller files",
                self.name,
                len(large),
                len(files),
                format_bytes(bound),
                large[0].path,
            )

    def _warn_about_nothing(self) -> None:
        _log.warning("stage %r: no %s file in %s", self.name, self._wanted(), self._where())

    def _wanted(self) -> str:
        return " or ".join(self._extensions) or "single"

    def _where(self) -> str:
        return self._entries[0] if len(self._entries) == 1 else f"any of the {len(self._entries)} paths given"

    def _explain_unwanted(self, others: Counter[str]) -> str:
        head = f"no {self._wanted()} file in {self._where()}"
        if not others:
            return f"{head}; there is no file at all. Check the path"
        kinds = others.most_common(5)
        listed = ", ".join(f"{count} {kind} file{'s' * (count > 1)}" for kind, count in kinds)
        more = ", and others" if len(others) > len(kinds) else ""
        reader = next((_READERS[kind] for kind, _ in kinds if kind in _READERS), None)
        advice = f"use {reader}" if reader else f"if they hold what is wanted, pass file_extensions=[{kinds[0][0]!r}]"
        return f"{head}; it has {listed}{more}: {advice}"


def _kind(path: str) -> str:
    return extensions_of(path)[-1] or "extension-less"


def _explain_missing(path: str) -> str:
    """Return that there is no such path, with the nearest folder that exists and what it has of a similar name."""
    if has_magic(path):
        return f"the pattern {path} matches nothing. Check it; '**' stands for any number of folders"
    if is_remote_url(path):
        return f"{path} does not exist. Check the path, and whether the credentials in storage_options may list it"
    parent, missing = os.path.split(path)
    while not os.path.isdir(parent) and os.path.dirname(parent) != parent:
        parent, missing = os.path.split(parent)
    try:
        hint = did_you_mean(missing, sorted(os.listdir(parent))[:1000])
    except OSError:
        hint = ""
    return f"{path} does not exist; {parent} does, but has no {missing!r}.{hint or ' Check the path'}"
