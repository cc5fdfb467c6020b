"""Arguments that may be one value for all functions of a stage, or a list with one for each."""

from __future__ import annotations

from typing import Any

__all__ = ["name_of", "one_per_function"]


def one_per_function(
    value: Any,
    count: int,
    *,
    what: str,
    kind: type,
    shared: bool = True,
    optional: bool = False,
) -> list[Any]:
    """Return one value for each of `count` functions.

    Args:
        value: One value, or a list of them.
        count: How many functions the stage applies.
        what: Name of the argument, for messages.
        kind: Type of one value.
        shared: One value does for all functions; otherwise several functions need a list.
        optional: `None` is a value.

    Raises:
        ValueError: Too many or too few values, or `None` where there must be one.
        TypeError: A value of another type.
    """
    values = list(value) if isinstance(value, list) else [value]
    for each in values:
        if each is None and not optional:
            message = f"{what} is None; give a {kind.__name__}"
            raise ValueError(message)
        if each is not None and not isinstance(each, kind):
            message = f"{what} must be a {kind.__name__} or a list of them, got {each!r}"
            raise TypeError(message)
    if len(values) == 1 and (shared or count == 1 or value is None):
        return values * count
    if len(values) != count or not isinstance(value, list):
        message = f"{what} needs one value for each of the {count} functions, in a list; got {value!r}"
        raise ValueError(message)
    return values


def name_of(function: object, default: str) -> str:
    """Return the name under which a function, filter or modifier appears in names and reports; `default` for a lambda."""
    name = getattr(function, "name", None) or getattr(function, "__name__", None) or type(function).__name__
    return default if name == "<lambda>" else str(name)
