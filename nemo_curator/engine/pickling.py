"""Pickling by value: classes and functions that no other process could import travel inside the pickle."""

from __future__ import annotations

import pickle
from collections.abc import Callable

__all__ = ["PROTOCOL", "dumps_by_value"]

PROTOCOL = 5
"""The highest protocol of every Python that we support; it lays buffers beside the pickle."""


def dumps_by_value(thing: object, buffer_callback: Callable[[pickle.PickleBuffer], object] | None = None) -> bytes:
    """Return the pickle of `thing`; `pickle.loads` reads it. Raises whatever pickling raises."""
    # Most workers only read pickles, and it takes a tenth of what a worker imports.
    import cloudpickle  # pyright: ignore[reportMissingTypeStubs]

    data: bytes = cloudpickle.dumps(thing, protocol=PROTOCOL, buffer_callback=buffer_callback)  # pyright: ignore[reportUnknownMemberType]
    return data
