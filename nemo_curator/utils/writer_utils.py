"""Single files of results, written whole: for stages that write what no writer of this package writes."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nemo_curator.utils.atomic_io import atomic_output
from nemo_curator.utils.client_utils import FSPath
from nemo_curator.utils.file_listing import resolve_url

__all__ = ["JsonEncoderCustom", "write_bytes", "write_csv", "write_json", "write_parquet"]

_log = logging.getLogger(__name__)

Target = str | os.PathLike[str] | FSPath
"""Where a file goes: a path, local or a URL, or a path that knows its filesystem. Its folder is made."""


class JsonEncoderCustom(json.JSONEncoder):
    """Writes a UUID as text."""

    def default(self, o: Any) -> Any:
        """Return what stands for an object that JSON has no notion of."""
        return str(o) if isinstance(o, uuid.UUID) else super().default(o)


def write_bytes(
    buffer: bytes,
    dest: Target,
    desc: str,
    source_video: str,
    *,
    verbose: bool,
    backup_and_overwrite: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a file, complete or not at all. One that is there stays as it is, with a warning.

    Args:
        buffer: Its content.
        dest: Where it goes.
        desc: What it is, for the log.
        source_video: What it was made of, for the log.
        verbose: Log that it was written.
        backup_and_overwrite: Not implemented.
        overwrite: Replace what is there, with a warning.

    Raises:
        NotImplementedError: `backup_and_overwrite` is asked for.
        OSError: It cannot be written.
    """
    if backup_and_overwrite:
        message = "backup_and_overwrite is not implemented; keep a copy yourself and pass overwrite=True"
        raise NotImplementedError(message)
    shown = dest.as_posix() if isinstance(dest, FSPath) else os.fspath(dest)
    fs, path = (dest.fs, str(dest)) if isinstance(dest, FSPath) else resolve_url(shown)
    if fs.exists(path):
        if not overwrite:
            _log.warning("%s of %s: %s is there already and is left as it is", desc, source_video, shown)
            return
        _log.warning("%s of %s: %s is there already and is replaced", desc, source_video, shown)
    fs.makedirs(fs._parent(path), exist_ok=True)
    with atomic_output(path, fs) as handle:
        handle.write(buffer)
    if verbose:
        _log.info("%s of %s: %d bytes written to %s", desc, source_video, len(buffer), shown)


def write_json(
    data: Mapping[str, Any],
    dest: Target,
    desc: str,
    source_video: str,
    *,
    verbose: bool,
    backup_and_overwrite: bool = False,
    overwrite: bool = False,
) -> None:
    """Write an object as JSON; arguments and errors are those of `write_bytes`."""
    content = json.dumps(data, indent=4, cls=JsonEncoderCustom).encode()
    how = {"verbose": verbose, "backup_and_overwrite": backup_and_overwrite, "overwrite": overwrite}
    write_bytes(content, dest, desc, source_video, **how)


def write_parquet(
    data: Sequence[Mapping[str, Any]],
    dest: Target,
    desc: str,
    source_video: str,
    *,
    verbose: bool,
    backup_and_overwrite: bool = False,
    overwrite: bool = False,
) -> None:
    """Write rows as Parquet, a UUID as text; arguments and errors are those of `write_bytes`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {name: str(value) if isinstance(value, uuid.UUID) else value for name, value in row.items()} for row in data
    ]
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), content)
    how = {"verbose": verbose, "backup_and_overwrite": backup_and_overwrite, "overwrite": overwrite}
    write_bytes(content.getvalue(), dest, desc, source_video, **how)


def write_csv(dest: Target, data: Iterable[Iterable[Any]]) -> None:
    """Write rows as CSV, in place of what is there; raises what `write_bytes` raises."""
    content = io.StringIO(newline="")
    csv.writer(content).writerows(data)
    write_bytes(content.getvalue().encode(), dest, "table", "its rows", verbose=False, overwrite=True)
