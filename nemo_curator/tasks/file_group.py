"""`FileGroupTask`: files that are read or were written together."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Self

from nemo_curator.tasks.base import Task
from nemo_curator.utils.hash_utils import get_deterministic_hash

__all__ = ["FileGroupTask"]

_log = logging.getLogger(__name__)


def _no_paths() -> list[Any]:
    return []


def _no_config() -> dict[str, Any]:
    return {}


class _Kept:
    """Options of a filesystem, which may hold credentials: they stay in the process that made the task."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        self.options = options

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Kept, ())


@dataclass(repr=False)
class FileGroupTask(Task[list[Any]]):
    """A list of paths, read as one task; or a part of one file.

    Attributes:
        data: The paths: text, or `FSPath` or `pathlib.Path`.
        reader_config: What the reader has to know beside; ``{"byte_range": [start, stop]}`` for the part of the one file in `data` whose
            records begin at these bytes, `stop` excluded; ``first_id`` for the id of its first row, where rows are numbered.
    """

    data: list[Any] = field(default_factory=_no_paths)
    reader_config: dict[str, Any] = field(default_factory=_no_config)

    @property
    def num_items(self) -> int:
        """Number of files."""
        return len(self.data)

    @property
    def paths(self) -> list[str]:
        """The paths as text; a path that knows its filesystem (`FSPath`) as a URL, if that is not the local one."""
        return [path if isinstance(path, str) else getattr(path, "as_posix", path.__str__)() for path in self.data]

    @property
    def byte_range(self) -> tuple[int, int] | None:
        """Which part of its one file the task is about; nothing for whole files."""
        given = self.reader_config.get("byte_range")
        return None if given is None else (int(given[0]), int(given[1]))

    def validate(self) -> bool:
        """Warn about an empty list; refuse anything that is not a list."""
        if not self.data:
            _log.warning("file group of data set %r holds no files", self.dataset_name)
            return False
        if not isinstance(self.data, list):  # pyright: ignore[reportUnnecessaryIsInstance] - user input
            message = f"FileGroupTask.data must be a list of paths, got {type(self.data).__name__}"
            raise TypeError(message)
        return True

    def reached_with(self, storage_options: dict[str, Any] | None) -> Self:
        """Return the task itself, with the options of the filesystem by which `content_state` finds its files.

        For the stage that makes the task. They are not pickled: nobody else gets them, and they stand in no file.
        """
        if storage_options:
            vars(self)["_reached_with"] = _Kept(storage_options)
        return self

    def content_state(self) -> str:
        """Return a digest of size and time of change, or the store's own tag, of every file: what is read again when it has changed.

        Files on a filesystem that needs options are found with those of `reached_with`, or else with ``storage_options`` of the metadata.
        """
        from nemo_curator.utils.file_listing import file_state

        kept = vars(self).get("_reached_with")
        options = self._metadata.get("storage_options") if kept is None else kept.options
        # The same rows under other ids are not the same.
        first = self.reader_config.get("first_id")
        numbered = [] if first is None else [f"first id {first}"]
        return get_deterministic_hash([*(f"{path} {file_state(path, options)}" for path in self.paths), *numbered])

    def get_deterministic_id(self) -> str | None:
        """Return the hash of the sorted paths, and of the part if it is one."""
        part = self.byte_range
        return get_deterministic_hash(self.paths, "" if part is None else f"{part[0]}-{part[1]}")
