"""The files of a checkpoint as bytes: what a line says, and what counts of a file that is torn, foreign or old. Pure."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from nemo_curator.engine.fingerprint import StageFingerprint
from nemo_curator.engine.sources import mark_of
from nemo_curator.engine.written import FileNote, PastFiles
from nemo_curator.errors import CheckpointError
from nemo_curator.utils.output_manifest import WrittenFile

__all__ = ["Log", "entry_of", "files_of", "header_of", "line_of", "parse"]

# Format 1 had no files.
_KIND, _FORMAT = "nemo_curator finished sources", 2


@dataclass(slots=True)
class Log:
    """What one run has noted.

    Attributes:
        stages: What the sources went through; `None` if nothing could be read.
        finished: Marks of the sources that are finished.
        files: Stage, file and the marks of the sources in it.
        is_damaged: There was more, which cannot be read.
    """

    stages: list[StageFingerprint] | None = None
    finished: set[bytes] = field(default_factory=set[bytes])
    files: list[tuple[str, WrittenFile, set[bytes]]] = field(default_factory=list[tuple[str, WrittenFile, set[bytes]]])
    is_damaged: bool = False


def header_of(pipeline: str, stages: Sequence[StageFingerprint]) -> bytes:
    """Return the first line of a file."""
    header = {
        "kind": _KIND,
        "format": _FORMAT,
        "pipeline": pipeline,
        "stages": [[stage.name, stage.parts] for stage in stages],
    }
    return json.dumps(header, sort_keys=True).encode() + b"\n"


def line_of(thing: object) -> bytes:
    """Return a line for a source's name or a file's entry."""
    text = json.dumps(thing).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def entry_of(note: FileNote) -> dict[str, Any]:
    """Return what a line says about a file."""
    return {"stage": note.stage, **asdict(note.file), "of": [mark_of(source).hex() for source in note.sources]}


def parse(name: str, data: bytes, log: Log, warnings: list[str]) -> None:
    """Add to a log what a file of it says, which may be nothing."""
    first, _, rest = data.partition(b"\n")
    stages = _header(name, first, warnings)
    if stages is None:
        log.is_damaged = True
        return
    if log.is_damaged:
        return
    log.stages = stages
    lines = rest.split(b"\n")[:-1]
    # What follows the last line feed is nothing, or a line that was being written when its run was killed.
    for number, line in enumerate(lines):
        total, _, text = line.partition(b" ")
        said: object = None
        if total == b"%08x" % zlib.crc32(text):
            with contextlib.suppress(ValueError):
                said = json.loads(text)
        if isinstance(said, str):
            log.finished.add(mark_of(said))
            continue
        file = _file_in(said)
        if file is None:
            log.is_damaged = True
            rows = f"line {number + 2} of {name} is damaged: it and the {len(lines) - number - 1} lines after it count for nothing"
            warnings.append(f"{rows}; their sources are run again")
            return
        log.files.append(file)


def _file_in(said: object) -> tuple[str, WrittenFile, set[bytes]] | None:
    try:
        entry: dict[str, Any] = dict(cast("Any", said))
        marks = {bytes.fromhex(mark) for mark in entry.pop("of")}
        return str(entry.pop("stage")), WrittenFile(**entry), marks
    except (KeyError, TypeError, ValueError):
        return None


def files_of(logs: Iterable[Log]) -> PastFiles:
    """Return which files of some runs are whole: those of sources that are finished, in the run that has finished them."""
    past = PastFiles()
    for log in logs:
        for stage, file, marks in log.files:
            if marks and marks <= log.finished:
                past.whole.setdefault(stage, {})[file.path] = file, frozenset(marks)
            else:
                past.loose.setdefault(stage, set()).add(file.path)
    return past


def _header(name: str, line: bytes, warnings: list[str]) -> list[StageFingerprint] | None:
    try:
        header: Any = json.loads(line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or cast("dict[str, Any]", header).get("kind") != _KIND:
        warnings.append(f"{name} was not written by this package, or is damaged, and counts for nothing")
        return None
    fields = cast("dict[str, Any]", header)
    if type(fields.get("format")) is not int or fields["format"] > _FORMAT:
        message = (
            f"{name} in the checkpoint has format {fields.get('format')!r}, and this version of curator-backends reads up to {_FORMAT}; "
            "install the version that wrote it or a newer one, or choose another checkpoint_path"
        )
        raise CheckpointError(message)
    if fields["format"] < _FORMAT:
        warnings.append(f"{name} was written by an older version, which did not note files, and counts for nothing")
        return None
    try:
        return [
            StageFingerprint(str(stage), {str(part): str(digest) for part, digest in parts.items()})
            for stage, parts in fields["stages"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        warnings.append(f"the header of {name} is damaged, so it counts for nothing")
        return None
