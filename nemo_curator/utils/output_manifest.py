"""What an output folder holds: files as writers put them in place, and the manifest that a run lays beside them when it is complete.

The manifest is ``.nemo_curator_metadata/manifest.json`` in the folder, or ``manifest-0002-of-0016.json`` for a shard. It has every file with
rows, bytes and SHA-256, so that ``sha256sum`` or `check_output` can tell whether the folder is as it was written. It is committed last:
where there is one, everything that it names is there and whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import posixpath
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, cast

from nemo_curator.errors import DataError, OutputError
from nemo_curator.utils.atomic_io import atomic_output
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import METADATA_DIRNAME, has_extension, local_path, names_in, resolve_url

__all__ = ["DigestingHandle", "OutputFolder", "RunOutput", "WrittenFile", "check_output"]

_log = logging.getLogger(__name__)

_KIND, _FORMAT = "nemo_curator output", 1
_LINES_AT_ONCE = 4096
_CHUNK = 1 << 20
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that a stage has put in place.

    Attributes:
        path: Absolute path, or URL with its protocol.
        rows: Documents, images or the like in it.
        nbytes: Its size.
        sha256: Its SHA-256, in hexadecimal digits.
    """

    path: str
    rows: int
    nbytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RunOutput:
    """What a run that is complete has written, for one of its stages.

    Attributes:
        pipeline: Name of the pipeline.
        files: What the stage has written, in this run and in those that it has gone on with.
        all_paths: What any stage of the run has written.
        earlier: What earlier runs have written of sources that are no longer there.
        stale: Files that the stage wrote for tasks that were then made anew, in another way: nothing of this run is in them alone.
        is_part: The run was not about everything that the folder is for: a replay of failed tasks, say.
        shard: The shard of all sources that the run took, from 0, and the number of shards; `None` for all.
    """

    pipeline: str
    files: tuple[WrittenFile, ...]
    all_paths: frozenset[str]
    earlier: tuple[WrittenFile, ...] = ()
    stale: tuple[str, ...] = ()
    is_part: bool = False
    shard: tuple[int, int] | None = None


class DigestingHandle(io.BufferedIOBase):
    """Passes what is written on to another handle, and knows its size and digest.

    Args:
        handle: Where it goes. Closing this one leaves that one open.
    """

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = handle
        self._digest = hashlib.sha256()
        self.nbytes = 0

    @property
    def sha256(self) -> str:
        """The SHA-256 so far, in hexadecimal digits."""
        return self._digest.hexdigest()

    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self.nbytes

    def write(self, data: Any) -> int:
        """Write bytes; return their number."""
        view = memoryview(data).cast("B")
        self._handle.write(view)
        self._digest.update(view)
        self.nbytes += len(view)
        return len(view)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write lines, many of them at a time."""
        rest = iter(lines)
        while some := list(islice(rest, _LINES_AT_ONCE)):
            self.write(b"".join(some))

    def flush(self) -> None:
        """Flush the other handle."""
        if not self.closed:
            self._handle.flush()


@dataclass(frozen=True)
class OutputFolder:
    """A folder that files are written to, on the local disk or a filesystem that fsspec knows.

    Attributes:
        path: The folder, absolute, or a URL.
        storage_options: For the filesystem of a URL.
    """

    path: str
    storage_options: dict[str, Any] | None = None

    @property
    def place(self) -> tuple[Any, str]:
        """The filesystem (`None`: the local disk) and the folder's path on it; fsspec keeps its filesystems, so asking is cheap."""
        return resolve_url(self.path, self.storage_options) if is_remote_url(self.path) else (None, self.path)

    def names(self) -> list[str]:
        """Return the names of what can be seen in the folder, sorted; none if there is no folder."""
        return [name for name in self._names_in("") if not name.startswith(".")]

    def _names_in(self, inner: str) -> list[str]:
        fs, folder = self.place
        path = posixpath.join(folder, inner) if inner else folder
        if fs is None:
            return sorted(os.listdir(path)) if os.path.isdir(path) else []
        # fsspec remembers listings for as long as a process lives.
        fs.invalidate_cache()
        return sorted(names_in(fs, path)) if fs.isdir(path) else []

    def url(self, name: str) -> str:
        """Return the path of a file in the folder as users know it: a URL where it is not on the local disk."""
        fs, folder = self.place
        path = posixpath.join(folder, name)
        return path if fs is None else fs.unstrip_protocol(path)

    def make(self, name: str = "") -> None:
        """Make the folder, or a folder in it, with all above it."""
        fs, folder = self.place
        path = posixpath.join(folder, name) if name else folder
        if fs is None:
            os.makedirs(path, exist_ok=True)
        else:
            fs.makedirs(path, exist_ok=True)

    @contextmanager
    def writing(self, name: str) -> Generator[DigestingHandle]:
        """Open a file of the folder, which is made if need be; it appears, complete, when the block ends well."""
        fs, folder = self.place
        self.make()
        with atomic_output(posixpath.join(folder, name), fs) as raw:
            yield DigestingHandle(raw)

    def digest(self, name: str) -> tuple[int, str]:
        """Return size and SHA-256 of a file, which is read for it."""
        total, nbytes = hashlib.sha256(), 0
        with self._open(name) as handle:
            while chunk := handle.read(_CHUNK):
                total.update(chunk)
                nbytes += len(chunk)
        return nbytes, total.hexdigest()

    def commit(self, output: RunOutput, *, replaces: Iterable[str] | None = None) -> None:
        """Write the manifest of a complete run, then remove what it makes obsolete. Doing it again changes nothing.

        Args:
            output: What the run has written, here.
            replaces: File name extensions: files of these that are not the run's are removed. `None` leaves other files alone.

        Raises:
            OutputError: A file that the run wrote is gone, or the folder cannot be written to.
        """
        try:
            self.make(METADATA_DIRNAME)
            there = set(self.names())
            replaces = None if output.is_part else replaces
            # Whoever overwrites wants what the input makes, as it is now; of a shard nobody knows whether others have the source.
            files = output.files if replaces is not None or output.shard is not None else output.files + output.earlier
            # A stage may write to other folders too.
            new = {self._name(file.path): file for file in files if self._is_here(file.path)}
            gone = sorted(new.keys() - there)
            if gone:
                message = (
                    f"the output in {self.path} is not complete: {len(gone)} files that were written are gone, {gone[0]} among them. "
                    "Run again with another checkpoint_path, or none, to make them again"
                )
                raise OutputError(message)
            ours = {self._name(path) for path in output.all_paths if self._is_here(path)}
            old = self._entries(output.shard)
            kept = {name for name in old if name in there and (replaces is None or name in ours)}
            stale = {self._name(path) for path in output.stale if self._is_here(path)} & there
            entries = {name: old[name] for name in kept - stale} | {
                name: {"rows": file.rows, "bytes": file.nbytes, "sha256": file.sha256} for name, file in new.items()
            }
            self._write(output, entries)
            self._remove(stale | self._replaced(output, old, there - ours, replaces))
            if replaces is not None and output.shard is None:
                self._remove_other_manifests()
        except OSError as error:
            message = (
                f"the output in {self.path} is whole, but what belongs to it cannot be noted: {error}. Make room or mend the connection, "
                "and run again: with a checkpoint_path only this is left to do"
            )
            raise OutputError(message) from error

    def manifests(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return what the manifests here say: for each, entries by file name."""
        return {name: self._read(name) for name in self._manifest_names()}

    def _manifest_names(self) -> list[str]:
        names = self._names_in(METADATA_DIRNAME)
        return [name for name in names if name.startswith("manifest") and name.endswith(".json")]

    def _replaced(
        self, output: RunOutput, old: Mapping[str, Any], others: set[str], replaces: Iterable[str] | None
    ) -> set[str]:
        if replaces is None:
            return set()
        if output.shard is not None:
            # Other shards write here too, before and after: only what this one wrote before is its to remove.
            return others & old.keys()
        return {name for name in others if has_extension(name, replaces)}

    def _remove(self, names: Iterable[str]) -> None:
        names = sorted(names)
        for name in names:
            self._delete(name)
        if names:
            shown = ", ".join(names[:_SHOWN])
            _log.info("%s: removed %d files that this run has replaced: %s", self.path, len(names), shown)

    def _remove_other_manifests(self) -> None:
        for name in set(self._manifest_names()) - {_manifest_name(None)}:
            self._delete(posixpath.join(METADATA_DIRNAME, name))

    def _delete(self, name: str) -> None:
        fs, folder = self.place
        path = posixpath.join(folder, name)
        if fs is None:
            os.unlink(path)
        else:
            fs.rm_file(path)

    def _write(self, output: RunOutput, entries: Mapping[str, Mapping[str, Any]]) -> None:
        fs, folder = self.place
        content = {
            "kind": _KIND,
            "format": _FORMAT,
            "pipeline": output.pipeline,
            "shard": output.shard,
            "files": len(entries),
            "rows": sum(entry["rows"] for entry in entries.values()),
            "bytes": sum(entry["bytes"] for entry in entries.values()),
            "written": {name: entries[name] for name in sorted(entries)},
        }
        target = posixpath.join(folder, METADATA_DIRNAME, _manifest_name(output.shard))
        with atomic_output(target, fs, mode="w") as handle:
            json.dump(content, handle, indent=1)
            handle.write("\n")

    def _entries(self, shard: tuple[int, int] | None) -> dict[str, dict[str, Any]]:
        name = _manifest_name(shard)
        try:
            return self._read(name)
        except FileNotFoundError:
            return {}
        except DataError as error:
            _log.warning("%s, so it is written anew", error)
            return {}

    def _read(self, name: str) -> dict[str, dict[str, Any]]:
        relative = posixpath.join(METADATA_DIRNAME, name)
        with self._open(relative) as handle:
            data = handle.read()
        try:
            content = json.loads(data)
            if content["kind"] == _KIND and content["format"] == _FORMAT:
                return {name: _checked(entry) for name, entry in content["written"].items()}
        except (KeyError, TypeError, ValueError, AttributeError):
            content = None
        message = f"{self.url(relative)} is damaged, or was written by another version of this package"
        raise DataError(message)

    def _open(self, name: str) -> IO[bytes]:
        fs, folder = self.place
        path = posixpath.join(folder, name)
        return open(path, "rb") if fs is None else cast("IO[bytes]", fs.open(path, "rb"))

    def _is_here(self, path: str) -> bool:
        return self.url(self._name(path)) == path

    @staticmethod
    def _name(path: str) -> str:
        return posixpath.basename(path)


def check_output(path: str, storage_options: dict[str, Any] | None = None) -> list[str]:
    """Read every file that the manifests of an output folder name; return what is wrong, a sentence each.

    Args:
        path: The folder, or a URL.
        storage_options: For the filesystem of a URL.

    Raises:
        DataError: There is no manifest, or it is damaged.
    """
    folder = OutputFolder(path if is_remote_url(path) else local_path(path), storage_options)
    manifests = folder.manifests()
    if not manifests:
        message = f"{folder.path} has no manifest: no run that wrote to it has come to its end"
        raise DataError(message)
    there = set(folder.names())
    problems: list[str] = []
    for manifest, entries in manifests.items():
        for name, entry in entries.items():
            if name not in there:
                problems.append(f"{name}, which {manifest} names, is gone")
                continue
            nbytes, digest = folder.digest(name)
            if nbytes != entry["bytes"]:
                problems.append(f"{name} has {nbytes} bytes, and had {entry['bytes']} when it was written")
            elif digest != entry["sha256"]:
                problems.append(f"{name} was changed after it was written: its SHA-256 is another one")
    return problems


def _manifest_name(shard: tuple[int, int] | None) -> str:
    return "manifest.json" if shard is None else f"manifest-{shard[0]:04}-of-{shard[1]:04}.json"


def _checked(entry: Any) -> dict[str, Any]:
    rows, nbytes, digest = entry["rows"], entry["bytes"], entry["sha256"]
    if type(rows) is not int or type(nbytes) is not int or type(digest) is not str:
        raise TypeError
    return {"rows": rows, "bytes": nbytes, "sha256": digest}
