"""Numbers for documents: which ids the rows of a group of files have.

Ids are numbered through all groups of a data set, so that a group needs two numbers to be remembered, whatever the number of its rows.
Readers with ``_generate_ids=True`` count the rows of every group first and then number the groups in the order of their paths: which ids
a document gets depends on the files, and on nothing that happens while they are read.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, cast

from nemo_curator.errors import DataError, InputError, OutputError
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.atomic_io import atomic_output
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path, resolve_url

__all__ = ["CURATOR_DEDUP_ID_STR", "IdGeneratorBase", "names_of_group"]

CURATOR_DEDUP_ID_STR = "_curator_dedup_id"
"""The column of ids."""


class IdGeneratorBase:
    """Gives groups of files ranges of ids, each following the one before, and remembers them.

    Args:
        start_id: The first id that is free.
        batch_registry: The ranges that were given, first and last id, by `hash_files` of the group.
    """

    def __init__(self, start_id: int = 0, batch_registry: Mapping[str, tuple[int, int]] | None = None) -> None:
        self.next_id = start_id
        self.batch_registry: dict[str, tuple[int, int]] = dict(batch_registry or {})

    def register_batch(self, files: str | Sequence[str], count: int) -> int:
        """Return the first of `count` ids for a group of files; the same one when the group was registered before.

        Raises:
            DataError: The group was registered with another number of rows.
        """
        key = self.hash_files(files)
        known = self.batch_registry.get(key)
        if known is not None:
            rows = known[1] - known[0] + 1
            if rows != count:
                message = (
                    f"{_shown(files)} had {rows} rows when ids were given out and has {count} now: the files have changed. "
                    "Give ids out anew, and find duplicates again"
                )
                raise DataError(message)
            return known[0]
        first = self.next_id
        self.next_id = first + count
        self.batch_registry[key] = (first, self.next_id - 1)
        return first

    def hash_files(self, files: str | Sequence[str]) -> str:
        """Return the name of a group of files: a UUID of version 5, in the namespace of URLs, of the paths joined by ``;``."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, ";".join([files] if isinstance(files, str) else files)))

    def get_batch_range(self, files: str | Sequence[str] | None, key: str | None = None) -> tuple[int, int]:
        """Return the first and last id of a group, that is named by its files or by what `hash_files` made of them.

        A group without rows has a last id below its first.

        Raises:
            ValueError: Neither is given, or both.
            KeyError: No such group was registered.
        """
        if (files is None) == (key is None):
            message = "name the group by its files or by its key, not by both"
            raise ValueError(message)
        return self.batch_registry[self.hash_files(files) if files is not None else cast("str", key)]

    def to_disk(self, path: str, storage_options: dict[str, Any] | None = None) -> None:
        """Write ``{"next_id": n, "batch_registry": {key: [first, last]}}``; the file is complete or not there.

        Raises:
            OutputError: It cannot be written. Its folder must exist.
        """
        content = {
            "next_id": self.next_id,
            "batch_registry": {key: list(ids) for key, ids in self.batch_registry.items()},
        }
        fs, inner = resolve_url(path, storage_options) if is_remote_url(path) else (None, local_path(path))
        try:
            with atomic_output(inner, fs, mode="w") as handle:
                json.dump(content, handle)
                handle.write("\n")
        except OSError as error:
            message = f"the ids given out cannot be noted in {path}: {error.strerror or error}. Its folder must exist and be writable"
            raise OutputError(message) from error

    @classmethod
    def from_disk(cls, path: str, storage_options: dict[str, Any] | None = None) -> Self:
        """Return the generator that `to_disk` wrote.

        Raises:
            InputError: There is no such file.
            DataError: It is something else, or damaged.
        """
        try:
            if is_remote_url(path):
                fs, inner = resolve_url(path, storage_options)
                text: str | bytes = fs.cat_file(inner)
            else:
                with open(local_path(path), "rb") as handle:
                    text = handle.read()
        except FileNotFoundError as error:
            message = f"{path}, which says which ids the documents have, is not there. It was written by the run that gave them out"
            raise InputError(message) from error
        try:
            content = json.loads(text)
            registry = {str(key): _checked_range(ids) for key, ids in content["batch_registry"].items()}
            return cls(_checked_int(content["next_id"]), registry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"{path} does not say which ids documents have: it is damaged, or another kind of file"
            raise DataError(message) from error


def names_of_group(task: FileGroupTask) -> list[str]:
    """Return what a group is registered under: its paths; for a part of a file, the path with the bytes that it is about."""
    paths = [str(path) for path in task.data]
    part = task.byte_range
    return paths if part is None else [f"{path}#bytes={part[0]}-{part[1]}" for path in paths]


def _shown(files: str | Iterable[str]) -> str:
    paths = [files] if isinstance(files, str) else list(files)
    return (
        paths[0] if len(paths) == 1 else f"the group of {len(paths)} files from {paths[0] if paths else 'nowhere'} on"
    )


def _checked_range(value: Any) -> tuple[int, int]:
    first, last = value
    return _checked_int(first), _checked_int(last)


def _checked_int(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value
