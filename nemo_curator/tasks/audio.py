"""`AudioTask`: one entry of an audio manifest."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.tasks.base import Task

__all__ = ["AttributeDict", "AudioTask"]

_log = logging.getLogger(__name__)


class AttributeDict(dict[str, Any]):
    """A dictionary whose keys can be read, set and deleted as attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            message = f"no key {name!r}; there are: {', '.join(sorted(self)) or 'none'}"
            raise AttributeError(message) from None

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return (AttributeDict, (dict(self),))


def _no_data() -> dict[str, Any]:
    return {}


@dataclass(repr=False)
class AudioTask(Task[dict[str, Any]]):
    """One audio file or segment with its manifest entry.

    Attributes:
        task_id: The one task type that takes an id in its constructor, as manifests bring their own; the engine replaces it.
        filepath_key: Key of `data` that holds the path of the audio file, if existence shall be checked.
    """

    dataset_name: str = ""
    data: dict[str, Any] = field(default_factory=_no_data)
    task_id: str = ""
    filepath_key: str | None = None

    def __post_init__(self) -> None:
        data: object = self.data
        if not isinstance(data, AttributeDict):
            self.data = AttributeDict(self.data)

    @property
    def num_items(self) -> int:
        """Always 1."""
        return 1

    def validate(self) -> bool:
        """Say whether the audio file exists, where `filepath_key` names one. Not called by the constructor."""
        if self.filepath_key is None or self.filepath_key not in self.data:
            return True
        path = str(self.data[self.filepath_key])
        if os.path.exists(path):
            return True
        _log.warning("audio file %s of task %s does not exist", path, self.task_id or "(new)")
        return False

    def get_columns(self) -> list[str]:
        """Return the keys of the manifest entry."""
        return list(self.data)
