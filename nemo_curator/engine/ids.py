"""The identity of a task in flight: a path that two runs over the same input agree on.

``<parent>_<slot>`` for what a task became; at the source stage the slot is the content's own id where there is one. What a
group of tasks became together gets a digest of the group's ids and a slot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from nemo_curator.tasks import EmptyTask, Task

__all__ = ["Slots", "assign_root_task_ids", "child_id", "group_id", "path_order", "root_ids"]

ROOT = "0"
_GROUP_DIGITS = 16


def child_id(parent: str, slot: object) -> str:
    """Return the id of what became of `parent` in `slot`."""
    return f"{parent}_{slot}" if parent else str(slot)


def group_id(parents: Iterable[str]) -> str:
    """Return the id under which the outputs of a group are numbered."""
    digest = hashlib.blake2b("|".join(parents).encode(), digest_size=_GROUP_DIGITS // 2).hexdigest()
    return f"g{digest}"


def path_order(identity: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a key that sorts ids segment by segment, positions as numbers: ``0_2`` comes before ``0_10``."""
    parts = identity.split("_")
    return tuple([(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts])


class Slots:
    """Names the slots of what one task becomes.

    At the source stage a child with a content id is named by it, so that its id does not depend on what else there is. A
    content id that comes twice (the same file listed twice) is told apart by its position.
    """

    __slots__ = ("_seen",)

    def __init__(self, *, by_content: bool) -> None:
        self._seen: set[str] | None = set() if by_content else None

    def name(self, child: Task[Any], position: int) -> object:
        """Return the slot of the child at `position`."""
        if self._seen is None:
            return position
        content = child.get_deterministic_id()
        if content is None:
            return position
        if content in self._seen:
            return f"{content}.{position}"
        self._seen.add(content)
        return content


def root_ids(tasks: Iterable[Task[Any]]) -> Iterable[tuple[str, Task[Any]]]:
    """Yield the tasks that a run starts from, with their ids: ``0`` for an `EmptyTask`, else ``0_<position>``."""
    seed_taken = False
    for position, task in enumerate(tasks):
        if isinstance(task, EmptyTask) and not seed_taken:
            seed_taken = True
            yield ROOT, task
        else:
            yield child_id(ROOT, position), task


def assign_root_task_ids(tasks: list[Task[Any]]) -> list[Task[Any]]:
    """Give the tasks that a run starts from their ids, in place; return the list."""
    for identity, task in root_ids(tasks):
        task.task_id = identity
    return tasks
