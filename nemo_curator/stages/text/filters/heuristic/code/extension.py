"""Limits for every language and file name extension, from a table that people looked at (StarCoder, section 3.1)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from nemo_curator.errors import DataError, InputError
from nemo_curator.stages.text.filters.base import DocumentFilter
from nemo_curator.stages.text.filters.heuristic.code.surface import alphabetic_share

__all__ = ["PerExtensionFilter"]

_ALIASES = {"c#": "c-sharp", "f#": "f-sharp"}
_MAX_MEAN_LINE = 100
_COLUMNS = ("language", "extension", "Include", "Long_line_threshold", "Alphanum_threshold", "Alpha filter")


@dataclass(frozen=True)
class _Limits:
    included: bool
    longest_line: float | None
    min_alphanumeric: float | None
    min_alphabetic: float | None


class PerExtensionFilter(DocumentFilter):
    """Keeps files within the limits that a table has for their language and extension.

    The table is a CSV file with the columns ``language``, ``extension``, ``Include`` (1 or 0), ``Long_line_threshold`` (characters of
    the longest line; where there is one, the mean may be 100), ``Alphanum_threshold`` and ``Alpha filter`` (lowest shares of letters and
    digits, and of letters, of any script). An empty cell is no limit. A pair that is not in the table is dropped.

    Args:
        lang: The language, in any case; ``C#`` and ``F#`` are ``c-sharp`` and ``f-sharp`` in the table.
        extension: File name extension, with or without the dot.
        metadata_file: The table.

    Raises:
        InputError: There is no such file; a `FileNotFoundError`.
        ValueError: The table has no row for the language.
        DataError: It lacks a column, or a cell is not a number.
    """

    _name = "per_extension_filter"

    def __init__(self, lang: str, extension: str, metadata_file: str = "code_meta.csv") -> None:
        table = _read(metadata_file)
        language = _ALIASES.get(lang.lower(), lang.lower())
        rows = [row for row in table if row["language"].strip().lower() == language]
        if not rows:
            known = sorted({row["language"] for row in table})
            message = f"{metadata_file} has no row for language {language!r}; it has: {', '.join(known) or 'none'}"
            raise ValueError(message)
        wanted = extension.lstrip(".")
        found = [row for row in rows if row["extension"].strip().lstrip(".") == wanted]
        self._limits = _limits(found[0], metadata_file) if found else None

    def score_document(self, text: str) -> int:
        """Return 1 if the text is within the limits, else 0."""
        limits = self._limits
        if limits is None or not limits.included:
            return 0
        if limits.longest_line is not None and not _lines_are_short(text, limits.longest_line):
            return 0
        if limits.min_alphanumeric is not None and _alphanumeric_share(text) < limits.min_alphanumeric:
            return 0
        return int(limits.min_alphabetic is None or alphabetic_share(text) >= limits.min_alphabetic)

    def keep_document(self, scores: int) -> bool:
        """Keep what is within them."""
        return scores == 1


def _lines_are_short(text: str, longest: float) -> bool:
    lengths = [len(line) for line in text.splitlines()]
    return max(lengths, default=0) <= longest and sum(lengths) <= _MAX_MEAN_LINE * len(lengths)


def _alphanumeric_share(text: str) -> float:
    return sum(map(str.isalnum, text)) / len(text) if text else 0.0


def _read(path: str) -> list[dict[str, str]]:
    if not Path(path).is_file():
        message = f"there is no table of languages and extensions at {path}"
        raise InputError(message)
    with Path(path).open(newline="", encoding="utf-8") as handle:
        table = csv.DictReader(handle)
        missing = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
        if missing:
            message = f"{path} has no column {', '.join(map(repr, missing))}"
            raise DataError(message)
        return [{name: row[name] or "" for name in _COLUMNS} for row in table]


def _limits(row: dict[str, str], path: str) -> _Limits:
    try:
        included, *limits = (float(row[name]) if row[name].strip() else None for name in _COLUMNS[2:])
    except ValueError as error:
        message = (
            f"{path}: the row of {row['language']!r} and {row['extension']!r} has a cell that is not a number: {error}"
        )
        raise DataError(message) from error
    return _Limits(included == 1, *limits)
