"""Does a function say in its annotations that it returns several tasks?"""

from __future__ import annotations

import collections.abc
import types
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

__all__ = ["returns_many"]

_MANY = (list, collections.abc.Iterator, collections.abc.Generator, collections.abc.Iterable)


@lru_cache(maxsize=1024)
def returns_many(function: Callable[..., Any]) -> bool:
    """Return whether the return annotation is a list or iterator of something, or a union with one.

    Annotations that cannot be resolved, a bare ``list`` and no annotation at all mean no: the plan then keeps the stage's
    outputs in the worker that made them, which costs parallelism but never correctness.
    """
    try:
        hint = get_type_hints(function).get("return")
    except Exception:  # annotations are user code: whatever it raises means that they cannot be resolved
        return False
    return _is_many(hint)


def _is_many(hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_is_many(part) for part in get_args(hint))
    return origin in _MANY
