"""What a stage, or a model that it carries by name, has loaded in this process: models, threads, ids."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["loaded"]

# It stands beside its owner and not in it, so that neither pickling nor the fingerprint of a run with a checkpoint sees whether that has
# been at work.
_LOADED: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


def loaded(owner: Any) -> dict[str, Any]:
    """Return what somebody has loaded, by name; a copy has loaded nothing yet."""
    return _LOADED.setdefault(owner, {})
