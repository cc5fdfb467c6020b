"""How many bytes a payload holds, estimated in microseconds and without copying.

The estimate steers back-pressure and the cutting of bundles; it may be off by a small factor for nested Python objects, and
is right for what is large: text, bytes, arrays, tables and frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["estimate_nbytes"]

_SMALL = 48
_SAMPLE = 16
_DEPTH = 4


def estimate_nbytes(payload: object) -> int:
    """Return the approximate size of `payload` in bytes."""
    return _estimate(payload, _DEPTH)


def _estimate(value: Any, depth: int) -> int:
    known = _BY_TYPE.get(type(value))
    if known is not None:
        return known(value, depth)
    return _foreign(value, depth)


def _length(value: Any, _depth: int) -> int:
    return _SMALL + len(value)


def _scalar(_value: object, _depth: int) -> int:
    return _SMALL


def _many(values: Iterable[Any], count: int, depth: int) -> int:
    if depth == 0 or count == 0:
        return _SMALL * (count + 1)
    sampled = total = 0
    for value in values:
        if sampled == _SAMPLE:
            break
        total += _estimate(value, depth - 1)
        sampled += 1
    return _SMALL + total * count // sampled


def _sequence(value: Any, depth: int) -> int:
    return _many(value, len(value), depth)


def _mapping(value: dict[Any, Any], depth: int) -> int:
    return _many(value.values(), len(value), depth) + _SMALL * len(value)


def _foreign(value: Any, depth: int) -> int:
    """Size of what is not a builtin: tables, frames and arrays say it themselves, objects are looked into."""
    nbytes = getattr(value, "nbytes", None)
    if isinstance(nbytes, int):
        return _SMALL + nbytes
    usage = getattr(value, "memory_usage", None)
    if callable(usage) and hasattr(value, "columns"):
        return _frame(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return _sequence(value, depth)
    if isinstance(value, dict):
        return _mapping(value, depth)
    attributes = getattr(value, "__dict__", None)
    return _mapping(attributes, depth) if attributes and depth else _SMALL


def _frame(frame: Any) -> int:
    total = _SMALL
    for position in range(frame.shape[1]):
        column = frame.iloc[:, position]
        # An object column holds pointers; what they point to is estimated from a sample.
        total += _many(column, len(column), 1) if column.dtype == object else int(column.nbytes)
    return total


_BY_TYPE: dict[type, Callable[[Any, int], int]] = {
    bytes: _length,
    bytearray: _length,
    str: _length,
    int: _scalar,
    float: _scalar,
    bool: _scalar,
    type(None): _scalar,
    list: _sequence,
    tuple: _sequence,
    set: _sequence,
    dict: _mapping,
}
