"""What a stage has loaded in this process: models, threads, ids."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["loaded"]

# It stands beside the stage and not in it, so that neither pickling nor the fingerprint of a run sees whether a stage has been at work.
_LOADED: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


def loaded(stage: Any) -> dict[str, Any]:
    """Return what a stage has loaded, by name; a copy of the stage has loaded nothing yet."""
    return _LOADED.setdefault(stage, {})
