"""What a task was before user code got it, so that another attempt does not see what a failed one did to it.

It is remembered one level deep, which costs a microsecond: attributes, metadata, and a copy of the payload's outermost container
(a frame's columns are shared until somebody writes to them). What a stage changes deeper inside, such as numbers of an array
in place, is not undone.
"""

# Metadata of a task is the engine's to keep; its name is part of the public contract.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, cast

from nemo_curator.tasks import Task
from nemo_curator.tasks.document import is_frame

__all__ = ["remember", "restore"]

_COPY: dict[type, Callable[[Any], Any]] = {
    dict: dict[Any, Any].copy,
    list: list[Any].copy,
    set: set[Any].copy,
    bytearray: bytearray.copy,
}
_IMMUTABLE = frozenset({int, float, bool, str, bytes, type(None), tuple, frozenset})


def remember(task: Task[Any]) -> dict[str, Any]:
    """Return what a task is now, for `restore`. Called before every call of user code."""
    return _copied(vars(task))


def restore(task: Task[Any], was: dict[str, Any]) -> None:
    """Make a task what it was when it was remembered; any number of times."""
    attributes = vars(task)
    attributes.clear()
    attributes.update(_copied(was))


def _copied(attributes: dict[str, Any]) -> dict[str, Any]:
    kept = attributes.copy()
    metadata: dict[str, Any] = kept["_metadata"]
    kept["_metadata"] = metadata.copy()
    data: Any = kept.get("data")
    if data.__class__ not in _IMMUTABLE:
        kept["data"] = _copy_of_payload(data)
    return kept


def _copy_of_payload(data: Any) -> Any:
    container = _COPY.get(data.__class__)
    if container is not None:
        return container(data)
    if is_frame(data):
        return data.copy(deep=False)
    if isinstance(data, (dict, list)) or dataclasses.is_dataclass(data):
        return copy.copy(cast("object", data))
    return data
