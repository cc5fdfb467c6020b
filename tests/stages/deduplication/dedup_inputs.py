"""Documents with duplicates, for the tests of deduplication, and what is found in their output."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor

INLINE: dict[str, Any] = {"mode": "inline"}


def _local(mode: str, workers: int, *marks: pytest.MarkDecorator) -> Any:
    return pytest.param({"mode": mode, "num_workers": workers}, id=f"{mode}-{workers}", marks=marks)


LOCAL = [
    _local("inline", 1),
    _local("threads", 1),
    _local("threads", 4),
    _local("processes", 1, pytest.mark.slow),
    _local("processes", 2),
    _local("processes", 4, pytest.mark.slow),
]


def local(options: dict[str, Any]) -> LocalExecutor:
    return LocalExecutor(**options)


def write_lines(folder: Path, rows: Sequence[dict[str, Any]], files: int) -> str:
    """Write rows to so many JSON Lines files, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        part = rows[number * len(rows) // files : (number + 1) * len(rows) // files]
        (folder / f"{number:03}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return str(folder)


def write_parquet(folder: Path, table: pa.Table, files: int) -> str:
    """Write a table to so many Parquet files, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        start, stop = number * len(table) // files, (number + 1) * len(table) // files
        pq.write_table(table.slice(start, stop - start), folder / f"{number:03}.parquet")
    return str(folder)


def read_folder(folder: Path) -> pa.Table:
    """Return the rows of all Parquet files of a folder, in the order of their names."""
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    return pa.concat_tables(tables) if tables else pa.table({})


def column(folder: Path, name: str) -> list[Any]:
    """Return a column of all Parquet files of a folder, sorted; nothing if there is no file."""
    table = read_folder(folder)
    return sorted(table[name].to_pylist()) if table.num_rows else []


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in the files of a folder, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}
