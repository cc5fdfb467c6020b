"""`Sources`: names the units of progress, and knows which of them a run leaves out. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from nemo_curator.tasks import Task

__all__ = ["EVERY_SOURCE", "MARK_BYTES", "Sources", "mark_of", "shard_of"]

MARK_BYTES = 12


def mark_of(source: str) -> bytes:
    """Return what stands for a source's name where there may be millions of them."""
    return hashlib.blake2b(source.encode("utf-8", "surrogatepass"), digest_size=MARK_BYTES).digest()


def shard_of(task_id: str, total: int) -> int:
    """Return the shard, from 0, that a source belongs to; the same in every run (contract, section 10.4)."""
    return int(hashlib.sha256(task_id.encode("utf-8", "surrogatepass")).hexdigest()[:16], 16) % total


@dataclass(frozen=True, slots=True)
class Sources:
    """What a source stage has to know of a run beside itself.

    Attributes:
        resumes: Somebody notes which sources are finished, so a source's name must say in which state it was.
        begun: A run with the same checkpoint was there before.
        finished: Marks of the sources that were finished before.
        shard: The shard of all sources that this run takes, from 0, and the number of shards; `None` for all sources.
    """

    resumes: bool = False
    begun: bool = False
    finished: frozenset[bytes] = frozenset()
    shard: tuple[int, int] | None = None

    def name(self, task_id: str, task: Task[Any]) -> str:
        """Return the name of the source that a task is. Worker side, once for every task that a source stage makes.

        It is the task's id and, where runs are resumed, the state of what it stands for: a file that has changed is another source.
        """
        return f"{task_id}@{task.content_state()}" if self.resumes else task_id

    def is_of_another_shard(self, task_id: str) -> bool:
        """Say whether another shard has the source."""
        return self.shard is not None and shard_of(task_id, self.shard[1]) != self.shard[0]

    def finished_mark(self, name: str) -> bytes | None:
        """Return the mark of a source that is finished; nothing for another one."""
        if not self.finished:
            return None
        mark = mark_of(name)
        return mark if mark in self.finished else None


EVERY_SOURCE = Sources()
