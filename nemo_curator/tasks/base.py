"""`Task`: a batch of data on its way through a pipeline."""

from __future__ import annotations

import hashlib
import pickle
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from nemo_curator.utils.performance_utils import StagePerfStats

__all__ = ["Task"]

T = TypeVar("T")


def _no_stats() -> list[StagePerfStats]:
    return []


def _no_metadata() -> dict[str, Any]:
    return {}


@dataclass(repr=False)
class Task(ABC, Generic[T]):
    """A batch of data of one kind. Subclass it with `@dataclass` and define `num_items` and `validate`.

    Stages may change `data` and `_metadata` in place or return a new task; the engine gives every output its own metadata
    and performance list, so a stage never copies them by hand. A new task inherits its parent's metadata; keys that it sets
    itself win.

    Attributes:
        dataset_name: The data set that the task belongs to.
        data: The payload.
        task_id: Where the task comes from, as a path: ``<parent>_<slot>``. Set by the engine, never by a constructor.
    """

    dataset_name: str
    data: T
    _stage_perf: list[StagePerfStats] = field(default_factory=_no_stats)
    _metadata: dict[str, Any] = field(default_factory=_no_metadata)
    task_id: str = field(init=False, default="")
    _source_id: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self.validate()

    @property
    @abstractmethod
    def num_items(self) -> int:
        """Items (documents, images, files, ...) in the payload."""

    @abstractmethod
    def validate(self) -> bool:
        """Say whether the payload is usable. Called by the constructor, which ignores the answer but not an exception."""

    def add_stage_perf(self, perf_stats: StagePerfStats) -> None:
        """Append the record of one call of a stage. Called by the engine after every stage."""
        self._stage_perf.append(perf_stats)

    def get_source_id(self) -> str:
        """Return the last segment of `task_id`."""
        return self.task_id.rsplit("_", 1)[-1]

    def get_deterministic_id(self) -> str | None:
        """Return an id made from the content, without ``_``; `None` (the default) when there is none."""
        return None

    def content_state(self) -> str:
        """Return a digest of what the task holds, by which a resumed run sees that a source has changed.

        Called in workers for every source of a run with a checkpoint. By default of the pickled payload; where the payload only names
        what is to be read, of that. It must not contain what differs between two runs over the same input.
        """
        return hashlib.blake2b(pickle.dumps(self.data, protocol=4), digest_size=12).hexdigest()

    def _set_task_id(self, parent_id: str, suffix: object) -> None:
        self.task_id = f"{parent_id}_{suffix}" if parent_id else str(suffix)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(task_id={self.task_id!r}, dataset_name={self.dataset_name!r})"
