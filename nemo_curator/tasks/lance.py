"""`LanceReadTask`: fragments of a Lance data set that are read together."""

from __future__ import annotations

from dataclasses import dataclass, field

from nemo_curator.tasks.base import Task
from nemo_curator.utils.hash_utils import get_deterministic_hash

__all__ = ["LanceReadTask"]


def _no_fragments() -> list[int]:
    return []


@dataclass(repr=False)
class LanceReadTask(Task[list[int]]):
    """Fragment ids of one version of a Lance data set."""

    data: list[int] = field(default_factory=_no_fragments)
    path: str = field(kw_only=True)
    version: int = field(kw_only=True)

    @property
    def num_items(self) -> int:
        """Number of fragments."""
        return len(self.data)

    def validate(self) -> bool:
        """Any list of fragments is fine."""
        return True

    def get_deterministic_id(self) -> str | None:
        """Return the hash of path, version and fragments."""
        return get_deterministic_hash([str(fragment) for fragment in self.data], seed=f"{self.path}@{self.version}")
