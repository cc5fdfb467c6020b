"""`Checkpoint`: which sources are finished, kept where a later run finds it.

In ``<path>/.nemo_curator_metadata`` every run writes files of its own, a line for every finished source:

* a header in JSON: what the file is, its format, and the fingerprints of the stages that the sources went through;
* then lines of a check sum and either a source's name (its id and its state) or a file that was written, with the sources that it has
  something of. A file's line comes before those of its sources, so a torn or altered line, and all that follow it, count for nothing.

On the local disk and on NFS lines are appended as sources finish, so that a run that is killed loses nothing of what it had finished; they
are forced to disk once a second, against a power cut. On object stores nothing can be appended: there a part is written once a second, and
parts are merged as they become many.

Sources count only for runs whose stages have the same fingerprints. Files of others stay: a change that is taken back finds its work done.
"""

from __future__ import annotations

import contextlib
import logging
import os
import posixpath
import re
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any, Self

from nemo_curator.engine.checkpoint_log import Log, entry_of, header_of, line_of, parse, settle
from nemo_curator.engine.fingerprint import changes, digest_of, fingerprints
from nemo_curator.engine.lease import BEAT_SECONDS, Lease
from nemo_curator.engine.plan import ExecutionPlan, with_sources
from nemo_curator.engine.sources import Sources, mark_of
from nemo_curator.engine.written import FileNote, PastFiles
from nemo_curator.errors import CheckpointError, PlanError
from nemo_curator.utils.atomic_io import atomic_output, fsync_directory
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import METADATA_DIRNAME, local_path, names_in, resolve_url

__all__ = ["METADATA_DIRNAME", "Checkpoint", "Past"]

_log = logging.getLogger(__name__)

_PREFIX, _SUFFIX = "finished-", ".log"
# What the files of one run have in common, and the number of a part.
_NAME = re.compile(r"(?P<run>finished-[0-9a-f]+-[0-9a-f]+)(?:-\d+)?\.log")
_SYNC_SECONDS = 1.0
_MERGE_FROM = 16


@dataclass(slots=True)
class Past:
    """What earlier runs have left.

    Attributes:
        begun: There was a run.
        finished: Marks of the sources that this version of the pipeline has finished.
        others: Sources that other versions have finished, by what was different in them.
        warnings: What could not be read, a sentence each.
        files: Files that this version of the pipeline has written.
        runs: The highest number of a run.
    """

    begun: bool = False
    finished: set[bytes] = field(default_factory=set[bytes])
    others: dict[str, int] = field(default_factory=dict[str, int])
    warnings: list[str] = field(default_factory=list[str])
    files: PastFiles = field(default_factory=PastFiles)
    runs: int = 0

    def in_words(self, path: str) -> str:
        """Return it for people."""
        lines = [f"checkpoint {path}: {len(self.finished)} sources are finished and will be left out"]
        lines += [
            f"  {count} more were finished by another version of the pipeline and will be run again: {why}"
            for why, count in self.others.items()
        ]
        return "\n".join([*lines, *(f"  {warning}" for warning in self.warnings)])


class Checkpoint:
    """The checkpoint of one run. As a context manager it belongs to the run as long as the block lasts.

    Args:
        path: A folder, or any fsspec URL; made if it is not there.
        plan: What runs.
        shard: The shard of all sources that the run takes, from 0, and the number of shards; `None` for all.
        beat_s: Seconds between two signs of life, see `Lease`.

    Attributes:
        past: What earlier runs have left, once the block is entered.

    Raises:
        PlanError: A stage's outputs cannot be attributed to sources.
    """

    def __init__(
        self, path: str, plan: ExecutionPlan, *, shard: tuple[int, int] | None = None, beat_s: float = BEAT_SECONDS
    ) -> None:
        cannot = [repr(stage.name) for stage in plan.stages if not stage.stage.is_resumable]
        if cannot:
            message = (
                f"pipeline {plan.name!r} cannot be resumed: {', '.join(cannot)} sets is_resumable=False, as its outputs belong to no source; "
                "leave checkpoint_path out, or run that stage in a pipeline of its own"
            )
            raise PlanError(message)
        self.path = path if is_remote_url(path) else local_path(path)
        self.past = Past()
        self._plan, self._shard = plan, shard
        self._stages = fingerprints(plan)
        fs, root = resolve_url(self.path)
        self._fs: Any = fs
        self._folder = posixpath.join(root, METADATA_DIRNAME)
        self._lease = Lease(self._fs, self._folder, self.path, shard=shard, beat_s=beat_s)
        self._writer: _Appended | _Parts | None = None
        self._noted: set[bytes] = set()

    @property
    def files(self) -> PastFiles:
        """What earlier runs have written."""
        return self.past.files

    @property
    def plan(self) -> ExecutionPlan:
        """The plan, whose source stage leaves out what is finished."""
        finished = frozenset(self.past.finished)
        sources = Sources(resumes=True, begun=self.past.begun, finished=finished, shard=self._shard)
        return with_sources(self._plan, sources)

    def __enter__(self) -> Self:
        try:
            begun: bool = self._fs.isdir(self._folder)
            self._fs.makedirs(self._folder, exist_ok=True)
            # Whoever comes later knows by it that there was a run, also one that has finished nothing.
            self._lease.take()
            try:
                self.past = self.read()
                self.past.begun = begun
                self._writer = self._new_writer()
            except BaseException:
                self._lease.release()
                raise
        except OSError as error:
            message = f"checkpoint {self.path} cannot be used: {error}"
            raise CheckpointError(message) from error
        for warning in self.past.warnings:
            _log.warning("checkpoint %s: %s", self.path, warning)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._writer is not None:
                with self._telling():
                    self._writer.close()
        finally:
            self._lease.release()

    def read(self) -> Past:
        """Return what earlier runs have left.

        Raises:
            CheckpointError: A file was written by a newer version of this package.
        """
        past = Past()
        # fsspec remembers listings for as long as a process lives.
        self._fs.invalidate_cache()
        if not self._fs.isdir(self._folder):
            return past
        names = names_in(self._fs, self._folder)
        logs: dict[str, Log] = {}
        for name in sorted(name for name in names if name.startswith(_PREFIX) and name.endswith(_SUFFIX)):
            data = self._fs.cat_file(posixpath.join(self._folder, name))
            found = _NAME.fullmatch(name)
            parse(name, data, logs.setdefault(found["run"] if found else name, Log()), past.warnings)
        seen_elsewhere: dict[str, set[bytes]] = {}
        readable: list[tuple[Log, bool]] = []
        for log in logs.values():
            if log.stages is None:
                continue
            why = "; ".join(changes(log.stages, self._stages))
            if why:
                seen_elsewhere.setdefault(why, set()).update(log.finished)
            readable.append((log, not why))
            past.runs = max(past.runs, log.number)
        past.others = {why: len(marks) for why, marks in seen_elsewhere.items()}
        past.finished, past.files = settle(readable)
        return past

    def note(self, written: Iterable[FileNote], finished: Iterable[str]) -> None:
        """Note files that were written, then sources that are finished. Driver side, as it happens.

        Raises:
            CheckpointError: It cannot be noted, so the run should not go on.
        """
        assert self._writer is not None
        new = {mark: source for source in finished if (mark := mark_of(source)) not in self._noted}
        lines = [line_of(entry_of(note)) for note in written] + [line_of(source) for source in new.values()]
        if not lines:
            return
        with self._telling():
            self._writer.write(b"".join(lines))
        self._noted.update(new)

    def forget(self) -> None:
        """Take back what this run has noted, as it begins again."""
        assert self._writer is not None
        with self._telling():
            self._writer.discard()
        self._noted.clear()
        self._writer = self._new_writer()

    @contextlib.contextmanager
    def _telling(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            message = (
                f"checkpoint {self.path} cannot be written: {error}. What was finished before is noted there; make room or mend the "
                "connection, and run again"
            )
            raise CheckpointError(message) from error

    def _new_writer(self) -> _Appended | _Parts:
        first = header_of(self._plan.name, self._stages, self.past.runs + 1)
        stem = f"{_PREFIX}{digest_of(first)[:12]}-{os.urandom(6).hex()}"
        if is_remote_url(self.path):
            return _Parts(self._fs, posixpath.join(self._folder, stem), first)
        return _Appended(os.path.join(self._folder, stem + _SUFFIX), first)


class _Appended:
    """Lines in one local file, made with the first of them."""

    def __init__(self, path: str, header: bytes) -> None:
        self._path, self._header = path, header
        self._file: IO[bytes] | None = None
        self._synced_at = 0.0

    def write(self, lines: bytes) -> None:
        if self._file is None:
            # Not buffered: what was written is the kernel's, and outlives this process.
            self._file = open(self._path, "xb", buffering=0)  # noqa: SIM115 - open as long as the run lasts
            lines = self._header + lines
            fsync_directory(os.path.dirname(self._path))
        view = memoryview(lines)
        while view:
            view = view[self._file.write(view) :]
        if time.monotonic() - self._synced_at > _SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced_at = time.monotonic()

    def close(self) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()
            os.unlink(self._path)


class _Parts:
    """Lines in objects of a store, a new one once a second; many are merged into one."""

    def __init__(self, fs: Any, stem: str, header: bytes) -> None:
        self._fs, self._stem, self._header = fs, stem, header
        self._waiting: list[bytes] = []
        self._written_at = time.monotonic()
        self._parts: list[tuple[str, bytes]] = []
        self._number = 0

    def write(self, lines: bytes) -> None:
        self._waiting.append(lines)
        if time.monotonic() - self._written_at > _SYNC_SECONDS:
            self._flush()

    def close(self) -> None:
        self._flush()

    def discard(self) -> None:
        self._waiting = []
        # The last part first: what is left, if this is cut short, is what was there at an earlier time.
        while self._parts:
            path, _ = self._parts.pop()
            self._fs.rm_file(path)

    def _flush(self) -> None:
        if self._waiting:
            self._put(b"".join(self._waiting))
            self._waiting = []
        self._written_at = time.monotonic()
        if len(self._parts) >= _MERGE_FROM:
            merged, self._parts = self._parts, []
            self._put(b"".join(lines for _, lines in merged))
            for path, _ in merged:
                self._fs.rm_file(path)

    def _put(self, lines: bytes) -> None:
        path = f"{self._stem}-{self._number:06}{_SUFFIX}"
        self._number += 1
        with atomic_output(path, self._fs) as file:
            file.write(self._header + lines)
        self._parts.append((path, lines))
