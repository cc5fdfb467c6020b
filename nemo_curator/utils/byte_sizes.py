"""Sizes as people write them: ``"128MB"``, ``"1.5 GiB"``."""

from __future__ import annotations

import re

__all__ = ["format_bytes", "parse_bytes_string_to_int"]

_PREFIXES = "kmgtp"
_UNITS: dict[str, int] = {"": 1, "b": 1}
for _power, _letter in enumerate(_PREFIXES, start=1):
    _UNITS[_letter] = _UNITS[f"{_letter}b"] = int(1000**_power)
    _UNITS[f"{_letter}i"] = _UNITS[f"{_letter}ib"] = int(1024**_power)

_SIZE = re.compile(r"(?P<number>\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)?(?P<unit>[a-z]*)")


def parse_bytes_string_to_int(size: float | str) -> int:
    """Return a size in bytes.

    Numbers pass. In strings, kB, MB, GB, TB, PB (or the letter alone) are powers of 1000; KiB, MiB, ... (or Ki, Mi, ...) are
    powers of 1024. Case and spaces do not matter, and a unit without a number means one of it.

    Raises:
        ValueError: Not a size.
    """
    if not isinstance(size, str):
        return int(size)
    compact = re.sub(r"\s+", "", size).lower()
    match = _SIZE.fullmatch(compact)
    if not compact or match is None or match["unit"] not in _UNITS:
        message = f"{size!r} is not a size in bytes; write it like 1000000, '512MB' (powers of 1000) or '1.5GiB' (powers of 1024)"
        raise ValueError(message)
    number = match["number"] or "1"
    return int(float(number) * _UNITS[match["unit"]])


def format_bytes(count: int) -> str:
    """Return a size for people, in powers of 1000: ``"1.5 GB"``."""
    size, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if size < 1000 or unit == "PB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
