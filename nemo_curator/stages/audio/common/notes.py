"""Notes that stages leave in an entry about what they did with it, by the name of the stage."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, cast

__all__ = ["add_note"]


def add_note(data: MutableMapping[str, Any], key: str, stage: str, note: str) -> None:
    """Write a note under `key`, a dictionary by stage; what stood there that is none is kept under ``""``."""
    there = data.get(key)
    notes = dict(cast("dict[str, Any]", there)) if isinstance(there, dict) else {"": there} if there else {}
    notes[stage] = note
    data[key] = notes
