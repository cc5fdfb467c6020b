"""Builders of small tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nemo_curator.tasks import DocumentBatch, Task

__all__ = ["Number", "documents", "numbers", "values"]


@dataclass(repr=False)
class Number(Task[int]):
    """A task that is one number.

    Attributes:
        content_id: Its deterministic id, where it shall have one.
    """

    content_id: str | None = None

    @property
    def num_items(self) -> int:
        """Always 1."""
        return 1

    def validate(self) -> bool:
        """Any number is fine."""
        return True

    def get_deterministic_id(self) -> str | None:
        """Return `content_id`."""
        return self.content_id


def numbers(data: int | Iterable[int]) -> list[Number]:
    """Return tasks of these numbers, or of the numbers below `data`."""
    return [Number("numbers", value) for value in (range(data) if isinstance(data, int) else data)]


def values(tasks: Iterable[Task[Any]] | None) -> list[Any]:
    """Return the payloads of tasks, sorted, as the order of outputs is not promised."""
    return sorted(task.data for task in tasks or ())


def documents(texts: Sequence[str], **columns: Sequence[Any]) -> DocumentBatch:
    """Return a batch with a ``text`` column, and others, as a pandas frame."""
    import pandas as pd

    return DocumentBatch("documents", pd.DataFrame({"text": list(texts), **columns}))
