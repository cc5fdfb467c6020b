"""`Quarantine`: tasks that were given up, on disk, with all that is needed to understand them and to run them again alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, cast

from nemo_curator.engine.claims import Claims
from nemo_curator.engine.envelope import Envelope
from nemo_curator.engine.failure import Failure
from nemo_curator.engine.ids import path_order
from nemo_curator.errors import DataError, OutputError
from nemo_curator.tasks import Task
from nemo_curator.utils.atomic_io import atomic_output
from nemo_curator.utils.file_listing import names_in
from nemo_curator.utils.file_utils import get_fs

__all__ = ["Entry", "Quarantine"]

_FORMAT = 1
_NAME = re.compile(r"[0-9A-Za-z_.-]{1,40}-[0-9a-f]{24}\.json")


@dataclass(frozen=True, slots=True)
class Entry:
    """One task that was given up.

    Attributes:
        id: Its id.
        stage: The stage that gave it up.
        declared_at: ``file:line`` where that was added to the pipeline.
        attempts: How often it was tried.
        reason: Name of the error's type.
        cause: Type and message in one line.
        frame: Where in user code it was raised.
        details: The traceback without the engine's frames.
        claims: Its shares of sources, see `engine.claims`.
        slots: Of a task that became something all the same, the children that are missing: from, and up to (`None`: all from
            there on); `None` if the whole task failed.
        has_payload: The task itself is kept too.
        note: Why it is not.
        file: Name of the entry's file.
    """

    id: str
    stage: str
    declared_at: str
    attempts: int
    reason: str
    cause: str
    frame: str
    details: str
    claims: Claims
    slots: tuple[int, int | None] | None
    has_payload: bool
    note: str
    file: str


class Quarantine:
    """A folder of tasks that were given up. Any number of processes may add to it at the same time.

    An entry is a JSON file, and one beside it with the same name and the ending ``.bin`` for what of the task is large. A task that
    fails again replaces its entry.

    Args:
        path: A folder, or any fsspec URL; made when there is something to keep.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def keep(
        self,
        envelope: Envelope,
        failure: Failure,
        *,
        reason: str,
        slots: tuple[int, int | None] | None = None,
        note: str = "",
    ) -> str:
        """Write an entry and return its file's name. Worker side, once for every task that is given up.

        Args:
            envelope: The task.
            failure: Why.
            reason: Name of the error's type.
            slots: The children that are missing, if not all.
            note: Why the task itself cannot be kept, if that is known.

        Raises:
            OutputError: It cannot be written.
        """
        from nemo_curator.engine.codec import CodecError, encode

        tree, blobs = None, list[bytes]()
        try:
            tree, blobs = (None, blobs) if note else encode(envelope.task)
        except CodecError as error:
            note = str(error)
        data = b"".join(blobs)
        name = _file_name(failure.stage, envelope.id, slots)
        fields = {
            "format": _FORMAT,
            **asdict(failure),
            "id": envelope.id,
            "reason": reason,
            "claims": [[source, str(share)] for source, share in envelope.claims],
            "slots": slots,
            "note": note,
            "task": tree,
            "sizes": [len(blob) for blob in blobs],
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        del fields["pickled"], fields["task_id"]
        try:
            fs: Any = get_fs(self.path)
            fs.makedirs(self.path, exist_ok=True)
            if data:
                with atomic_output(self._in_fs(fs, _blob_name(name)), fs) as file:
                    file.write(data)
            with atomic_output(self._in_fs(fs, name), fs, "w") as file:
                json.dump(fields, file)
        except (OSError, ValueError) as error:
            message = (
                f"the quarantine {self.path} cannot be written: {error}; choose another quarantine_path, or make room"
            )
            raise OutputError(message) from error
        return name

    def entries(self) -> list[Entry]:
        """Return all entries, by stage and id.

        Raises:
            DataError: A file is damaged.
        """
        fs: Any = get_fs(self.path)
        if not fs.isdir(self.path):
            return []
        names = names_in(fs, self.path)
        found = [_entry(name, self._fields(fs, name)) for name in names if _NAME.fullmatch(name)]
        return sorted(found, key=lambda entry: (entry.stage, path_order(entry.id), entry.slots or (0, None)))

    def load(self, entry: Entry) -> Task[Any]:
        """Return the task of an entry, as it was when its stage was first called with it.

        Raises:
            DataError: It was not kept, or is damaged.
        """
        if not entry.has_payload:
            message = f"task {entry.id} of stage {entry.stage!r} was not kept: {entry.note}; run its source again"
            raise DataError(message)
        fs: Any = get_fs(self.path)
        fields = self._fields(fs, entry.file)
        sizes: list[Any] = fields["sizes"]
        if type(sizes) is not list or not all(type(size) is int and size >= 0 for size in sizes):
            raise _damaged(entry.file, "its sizes are no sizes")
        data = b""
        if sizes:
            try:
                data = fs.cat_file(self._in_fs(fs, _blob_name(entry.file)))
            except OSError as error:
                raise _damaged(entry.file, f"{_blob_name(entry.file)} cannot be read: {error}") from error
        if len(data) != sum(sizes) or hashlib.sha256(data).hexdigest() != fields["sha256"]:
            raise _damaged(entry.file, "the data beside it is not what was written")
        blobs: list[bytes] = []
        for size in sizes:
            blobs.append(data[:size])
            data = data[size:]
        from nemo_curator.engine.codec import decode

        return decode(fields["task"], blobs)

    def remove(self, entry: Entry) -> None:
        """Forget an entry. Not to be there any more is fine."""
        fs: Any = get_fs(self.path)
        for name in (entry.file, _blob_name(entry.file)):
            path = self._in_fs(fs, name)
            if fs.exists(path):
                fs.rm_file(path)

    def summary(self) -> str:
        """Return what is in it, for people."""
        entries = self.entries()
        if not entries:
            return f"quarantine {self.path}: empty"
        lines = [f"quarantine {self.path}: {len(entries)} tasks"]
        for (stage, reason), count in Counter((entry.stage, entry.reason) for entry in entries).most_common():
            example = next(entry for entry in entries if (entry.stage, entry.reason) == (stage, reason))
            lines.append(f"  {stage}: {count} x {reason}, for example task {example.id}: {example.cause}")
        without = sum(not entry.has_payload for entry in entries)
        if without:
            lines.append(f"  {without} of them could not be kept whole; they need their sources to be run again")
        lines.append("run them again with Pipeline.replay(path)")
        return "\n".join(lines)

    def _in_fs(self, fs: Any, name: str) -> str:
        root: str = fs._strip_protocol(self.path)
        return f"{root.rstrip('/')}/{name}"

    def _fields(self, fs: Any, name: str) -> dict[str, Any]:
        try:
            fields = json.loads(fs.cat_file(self._in_fs(fs, name)))
        except (OSError, ValueError) as error:
            raise _damaged(name, str(error)) from error
        if not isinstance(fields, dict) or cast("dict[str, Any]", fields).get("format") != _FORMAT:
            raise _damaged(name, f"it is not in format {_FORMAT}")
        return cast("dict[str, Any]", fields)


def _entry(name: str, fields: dict[str, Any]) -> Entry:
    try:
        slots = fields["slots"]
        return Entry(
            id=str(fields["id"]),
            stage=str(fields["stage"]),
            declared_at=str(fields["declared_at"]),
            attempts=int(fields["attempts"]),
            reason=str(fields["reason"]),
            cause=str(fields["cause"]),
            frame=str(fields["frame"]),
            details=str(fields["details"]),
            claims=tuple((str(source), int(share)) for source, share in fields["claims"]),
            slots=None if slots is None else (int(slots[0]), None if slots[1] is None else int(slots[1])),
            has_payload=fields["task"] is not None,
            note=str(fields["note"]),
            file=name,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _damaged(name, f"{type(error).__name__}: {error}") from error


def _damaged(name: str, why: str) -> DataError:
    return DataError(f"the quarantine's file {name} is damaged: {why}; delete it, or restore it")


def _file_name(stage: str, identity: str, slots: tuple[int, int | None] | None) -> str:
    digest = hashlib.blake2b(repr((stage, identity, slots)).encode(), digest_size=12).hexdigest()
    slug = re.sub(r"[^0-9A-Za-z_.-]+", "-", stage).strip("-.")[:40] or "stage"
    return f"{slug}-{digest}.json"


def _blob_name(name: str) -> str:
    return f"{name.removesuffix('.json')}.bin"
