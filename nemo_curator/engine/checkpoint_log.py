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

__all__ = ["Log", "entry_of", "header_of", "line_of", "parse", "settle"]

# Format 1 had no files.
_KIND, _FORMAT = "nemo_curator finished sources", 2


@dataclass(slots=True)
class Log:
    """What one run has noted.

    Attributes:
        stages: What the sources went through; `None` if nothing could be read.
        number: Runs that begin when others are over have higher numbers.
        finished: Marks of the sources that are finished.
        files: Stage, file and the marks of the sources in it.
        is_damaged: There was more, which cannot be read.
    """

    stages: list[StageFingerprint] | None = None
    number: int = 0
    finished: set[bytes] = field(default_factory=set[bytes])
    files: list[tuple[str, WrittenFile, set[bytes]]] = field(default_factory=list[tuple[str, WrittenFile, set[bytes]]])
    is_damaged: bool = False


def header_of(pipeline: str, stages: Sequence[StageFingerprint], number: int) -> bytes:
    """Return the first line of a file."""
    header = {
        "kind": _KIND,
        "format": _FORMAT,
        "pipeline": pipeline,
        "number": number,
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
    header = _header(name, first, warnings)
    if header is None:
        log.is_damaged = True
        return
    if log.is_damaged:
        return
    log.stages, log.number = header
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


def settle(logs: Iterable[tuple[Log, bool]]) -> tuple[set[bytes], PastFiles]:
    """Return which sources are finished, and which files are whole: those of sources that are finished, in the run that has finished them.

    A file that a later run has put in the place of an earlier one's is the later one's, whoever comes back: a source whose file is no longer there
    as it was written is not finished. So an input that changes to and fro, or a parameter, costs time and no data.

    Args:
        logs: Of all runs, and whether the sources of a run went through the pipeline that is to go on.
    """
    finished: set[bytes] = set()
    last: dict[str, _Entry] = {}
    for log, is_ours in sorted(logs, key=lambda pair: pair[0].number):
        for stage, file, marks in log.files:
            before = last.get(file.path)
            counts = is_ours and bool(marks) and marks <= log.finished
            if before is not None and before.log is not log:
                if before.file != file:
                    finished -= before.marks
                elif before.counts and counts:
                    # The same content again: it is there for either.
                    marks = marks | before.marks
            last[file.path] = _Entry(stage, file, frozenset(marks), log, is_ours, counts)
        if is_ours:
            finished |= log.finished
    past = PastFiles()
    for path, entry in last.items():
        if not entry.is_ours:
            continue
        if entry.counts and entry.marks <= finished:
            past.whole.setdefault(entry.stage, {})[path] = entry.file, entry.marks
        else:
            past.loose.setdefault(entry.stage, set()).add(path)
    return finished, past


@dataclass(frozen=True, slots=True)
class _Entry:
    stage: str
    file: WrittenFile
    marks: frozenset[bytes]
    log: Log
    is_ours: bool
    counts: bool


def _header(name: str, line: bytes, warnings: list[str]) -> tuple[list[StageFingerprint], int] | None:
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
        stages = [
            StageFingerprint(str(stage), {str(part): str(digest) for part, digest in parts.items()})
            for stage, parts in fields["stages"]
        ]
        return stages, int(fields.get("number", 0))
    except (KeyError, TypeError, ValueError, AttributeError):
        warnings.append(f"the header of {name} is damaged, so it counts for nothing")
        return None
