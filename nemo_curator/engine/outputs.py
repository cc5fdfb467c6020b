"""Reading what user code returned: the one place that knows every form it may have."""

# Metadata and records of a task are the engine's to write; their names are part of the public contract.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeGuard, cast

from nemo_curator.errors import StageContractError
from nemo_curator.tasks import FailedTask, NoneTask, SentinelTask, Task

__all__ = [
    "Live",
    "adopt",
    "agreed_metadata",
    "as_children",
    "as_results",
    "is_plain",
    "live_children",
    "one_ahead",
    "why_none",
    "within",
]

Live = tuple[int, "Task[Any]"]
"""The slot of a child and the child: a task that goes on, or a `FailedTask`."""

_PLAIN: dict[type, bool] = {}


def is_plain(result: object) -> TypeGuard[Task[Any]]:
    """Say whether a result is one task that goes on: neither several, nor nothing, nor a sentinel."""
    kind = type(result)
    # Task is an abstract class, and asking isinstance of one costs as much as everything else in a short call.
    if kind not in _PLAIN:
        _PLAIN[kind] = isinstance(result, Task) and not isinstance(result, SentinelTask)
    return _PLAIN[kind]


def as_children(result: object) -> list[object] | Iterator[object]:
    """Return what became of one task: a list, or an iterator that makes its members.

    Raises:
        StageContractError: It is neither a task, nor several, nor nothing.
    """
    if result is None or isinstance(result, Task):
        return [cast("object", result)]
    if isinstance(result, (list, tuple)):
        return list(cast("Sequence[object]", result))
    if isinstance(result, Iterator):
        return cast("Iterator[object]", result)
    raise _not_a_task(result)


def as_results(result: object, size: int) -> list[object]:
    """Return what `process_batch` returned for `size` tasks as a list.

    Raises:
        StageContractError: It is neither a task, nor several, nor nothing.
    """
    if result is None:
        return [None] * size
    children = as_children(result)
    return children if isinstance(children, list) else list(children)


def live_children(children: Sequence[object]) -> list[Live]:
    """Return the children that are something, with their slots: no `None`, no sentinels but failures.

    Raises:
        StageContractError: One of them is not a task.
    """
    return [(slot, child) for slot, child in enumerate(map(_checked, children)) if _is_live(child)]  # pyright: ignore[reportReturnType]


def why_none(children: Sequence[object]) -> str:
    """Return the reason under which a task is counted that became nothing."""
    for child in children:
        if isinstance(child, NoneTask):
            return child.reason
    return "none" if children else "empty"


def one_ahead(children: Iterator[object]) -> Iterator[tuple[Live, bool]]:
    """Yield live children with whether they are the last. An error of the iterator comes after what it had made.

    Children are copied (shallowly) as they come: an iterator may yield one object several times over, changed in between.
    """
    held: Live | None = None
    try:
        for slot, candidate in enumerate(children):
            child = _checked(candidate)
            if child is None or not _is_live(child):
                continue
            if held is not None:
                yield held, False
            held = (slot, _twin(child))
    except Exception:
        if held is not None:
            yield held, False
        raise
    if held is not None:
        yield held, True


def within(children: Iterable[object], slots: tuple[int, int | None]) -> Iterator[object]:
    """Yield children with `None` in place of those outside of some slots: from, and up to (`None`: to the end)."""
    first, last = slots
    for slot, child in enumerate(children):
        yield child if slot >= first and (last is None or slot < last) else None


def adopt(
    child: Task[Any], identity: str, parent_id: str, parent: Task[Any] | None, inherited: dict[str, Any]
) -> Task[Any]:
    """Make `child` a task of its own, with its own id and metadata; return it, or a shallow copy where it is not free.

    Args:
        child: What user code returned: a new task, the parent changed in place, or an object that was returned before. Two
            tasks never share an object, so the last is copied.
        identity: Its id.
        parent_id: The id of the task that it was made of.
        parent: That task; `None` for the output of a group.
        inherited: Metadata that it gets where it sets none itself.
    """
    if child is parent and child.task_id == parent_id:
        child.task_id = identity
        return child
    if child.task_id:
        child = _twin(child)
    child._metadata = {**inherited, **child._metadata}
    child.task_id = identity
    return child


def _twin(task: Task[Any]) -> Task[Any]:
    """Return a shallow copy. Tasks are plain objects, so this takes the short way, a third of the generic one's time."""
    kind = type(task)
    if hasattr(kind, "__copy__"):
        return copy.copy(task)
    twin: Task[Any] = object.__new__(kind)
    vars(twin).update(vars(task))
    return twin


def agreed_metadata(tasks: Sequence[Task[Any]]) -> dict[str, Any]:
    """Return the metadata on which all members of a group agree."""
    first, *others = tasks
    return {
        key: value
        for key, value in first._metadata.items()
        if all(key in other._metadata and _same(value, other._metadata[key]) for other in others)
    }


def _checked(child: object) -> Task[Any] | None:
    if is_plain(child):
        return child
    if child is None or isinstance(child, Task):
        return cast("Task[Any] | None", child)
    raise _not_a_task(child)


def _is_live(child: Task[Any] | None) -> bool:
    return is_plain(child) or isinstance(child, FailedTask)


def _not_a_task(result: object) -> StageContractError:
    return StageContractError(
        f"it returned {type(result).__name__}; return a Task, a list or an iterator of tasks, or None to drop the task"
    )


def _same(left: object, right: object) -> bool:
    if left is right:
        return True
    try:
        return bool(left == right)
    except Exception:  # arrays and user types may refuse to be compared as a whole: then they do not agree
        return False
