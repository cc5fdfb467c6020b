"""`FileGroupTask`: files that are read or were written together."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.tasks.base import Task
from nemo_curator.utils.client_utils import FSPath, path_name
from nemo_curator.utils.hash_utils import get_deterministic_hash

__all__ = ["FileGroupTask"]

_log = logging.getLogger(__name__)


def _no_paths() -> list[Any]:
    return []


def _path(path: object) -> str | FSPath:
    return path if isinstance(path, FSPath) else str(path)


def _no_config() -> dict[str, Any]:
    return {}


@dataclass(repr=False)
class FileGroupTask(Task[list[Any]]):
    """A list of paths, read as one task; or a part of one file.

    Attributes:
        data: The paths: texts, or `FSPath` objects, which bring their filesystem.
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

    def content_state(self) -> str:
        """Return a digest of size and time of change, or the store's own tag, of every file: what is read again when it has changed."""
        from nemo_curator.utils.file_listing import file_state

        # The same rows under other ids are not the same.
        first = self.reader_config.get("first_id")
        numbered = [] if first is None else [f"first id {first}"]
        return get_deterministic_hash(
            [*(f"{path_name(path)} {file_state(_path(path))}" for path in self.data), *numbered]
        )

    def get_deterministic_id(self) -> str | None:
        """Return the hash of the sorted paths, and of the part if it is one."""
        part = self.byte_range
        return get_deterministic_hash(
            [path_name(path) for path in self.data], "" if part is None else f"{part[0]}-{part[1]}"
        )
