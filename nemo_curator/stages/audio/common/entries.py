"""Manifest entries as JSON: what of an entry can be written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, cast

__all__ = ["SIGNAL_KEYS", "is_array", "is_plain", "to_line", "without_signals"]

SIGNAL_KEYS = frozenset({"waveform", "audio", "audio_data", "audio_array"})
"""Keys under which stages carry sound; never written to a manifest."""


def is_array(value: object) -> bool:
    """Say whether a value is an array or a tensor with dimensions, and not a single number."""
    return bool(getattr(value, "shape", ())) and hasattr(value, "dtype")


def is_plain(value: object) -> bool:
    """Say whether a value is one that manifests hold: text, a number, a truth value, nothing, or lists and objects of these."""
    return value is None or isinstance(value, (str, int, float, bool, list, dict))


def without_signals(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry without waveforms, arrays and tensors, at any depth."""
    return {
        str(key): _without_signals(value)
        for key, value in entry.items()
        if key not in SIGNAL_KEYS and not is_array(value)
    }


def _without_signals(value: Any) -> Any:
    if isinstance(value, Mapping):
        return without_signals(cast("Mapping[str, Any]", value))
    if isinstance(value, (list, tuple)):
        return [_without_signals(each) for each in cast("list[Any]", value) if not is_array(each)]
    return value


def to_line(entry: Mapping[str, Any]) -> bytes:
    """Return the entry as a line of JSON in UTF-8, without what `without_signals` leaves out. Numbers that are not finite become null.

    Raises:
        TypeError: A value that JSON has no word for.
    """
    text = json.dumps(_finite(without_signals(entry)), ensure_ascii=False, default=_as_json, allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_finite(each) for each in cast("list[Any]", value)]
    value = _as_json(value) if hasattr(value, "dtype") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_json(value: Any) -> Any:
    if hasattr(value, "item") and hasattr(value, "dtype"):  # a number of NumPy or torch
        return value.item()
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    message = f"{type(value).__name__} is not a value that a manifest can hold"
    raise TypeError(message)
