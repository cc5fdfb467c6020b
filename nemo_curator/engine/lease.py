"""`Lease`: a folder is used by one run at a time. Files only: nothing is locked, so it holds on NFS and on object stores.

A run lays down a file that says who it is and rewrites it every few seconds. Another run that finds one refuses, unless its owner is gone:
on the same machine its process is looked for, from elsewhere the file is watched until it should have changed. Of two runs that begin at
the same time, each lays down its file before it looks, so that at least one sees the other; the name that sorts first stays.
"""

from __future__ import annotations

import json
import os
import posixpath
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from nemo_curator.engine.machine import read_text
from nemo_curator.errors import CheckpointError
from nemo_curator.utils.atomic_io import atomic_output
from nemo_curator.utils.file_listing import names_in

__all__ = ["BEAT_SECONDS", "Lease"]

BEAT_SECONDS = 5.0
_BEATS_MISSED = 3
_PREFIX, _SUFFIX = "running-", ".json"


class Lease:
    """See the module.

    Args:
        fs: The filesystem.
        folder: The folder on it; it exists.
        where: How people know the folder.
        shard: The shard that the run takes, and their number; runs of different shards may share a folder. `None`: all of it.
        beat_s: Seconds between two signs of life.
    """

    def __init__(
        self, fs: Any, folder: str, where: str, *, shard: tuple[int, int] | None = None, beat_s: float = BEAT_SECONDS
    ) -> None:
        self._fs, self._folder, self._where = fs, folder, where
        self._beat_s = beat_s
        self._owner: dict[str, Any] = {**_this_process(), "shard": shard and list(shard), "beat": 0}
        self._file = f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}"
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self) -> None:
        """Take the folder.

        Raises:
            CheckpointError: Another run has it.
        """
        self._write()
        try:
            self._look_around()
        except BaseException:
            self._forget(self._file)
            raise
        self._thread = threading.Thread(target=self._beat, name="curator-lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Leave the folder to others."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._forget(self._file)

    def _look_around(self) -> None:
        for file, owner in self._others():
            if not _compatible(owner.get("shard"), self._owner["shard"]):
                self._decide(file, owner)

    def _decide(self, file: str, owner: dict[str, Any]) -> None:
        """Raise if the owner of a file lives; forget the file if not."""
        mine = self._owner
        if all(owner.get(key) == mine[key] for key in ("host", "boot", "space")):
            if not _is_alive(owner):
                self._forget(file)
                return
        elif not self._still_beats(file, owner.get("beat")):
            self._forget(file)
            return
        # Both have laid down their files before they looked; who comes second by name gives way, and the first goes on.
        if file > self._file and owner.get("beat") == 0 and not self._is_settled(file):
            return
        name = f"process {owner.get('pid')} on {owner.get('host')}"
        message = (
            f"checkpoint {self._where} is in use by another run ({name}); wait for its end, or give this run a checkpoint_path of its own. "
            f"If that run is gone for good, delete {file} there"
        )
        raise CheckpointError(message)

    def _is_settled(self, file: str) -> bool:
        """Say whether a run that came at the same time stays: it gives way to this one within a moment."""
        return self._wait(lambda: self._read(file) is None, self._beat_s)

    def _still_beats(self, file: str, beat: object) -> bool:
        """Watch a file of another machine until it changes, or should have."""

        def changed() -> bool:
            owner = self._read(file)
            return owner is None or owner.get("beat") != beat

        if self._wait(changed, _BEATS_MISSED * self._beat_s):
            return False
        return self._read(file) is not None

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition; return whether time was up before it held."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return True
            self._over.wait(self._beat_s / 10)
        return False

    def _others(self) -> list[tuple[str, dict[str, Any]]]:
        self._fs.invalidate_cache()
        names = names_in(self._fs, self._folder)
        files = sorted(
            name for name in names if name.startswith(_PREFIX) and name.endswith(_SUFFIX) and name != self._file
        )
        found = [(name, self._read(name)) for name in files]
        return [(name, owner) for name, owner in found if owner is not None]

    def _read(self, file: str) -> dict[str, Any] | None:
        try:
            owner: object = json.loads(self._fs.cat_file(self._path(file)))
        except FileNotFoundError:
            return None
        except ValueError:
            owner = None
        if not isinstance(owner, dict):
            message = f"{file} in checkpoint {self._where} is damaged, so nobody can tell whether that run goes on; delete it if it does not"
            raise CheckpointError(message)
        return cast("dict[str, Any]", owner)

    def _beat(self) -> None:
        while not self._over.wait(self._beat_s):
            self._owner["beat"] += 1
            try:
                self._write()
            except OSError:
                # The next one may get through; three in a row that do not are what others take for the end of this run.
                continue

    def _write(self) -> None:
        with atomic_output(self._path(self._file), self._fs, "w") as file:
            json.dump(self._owner, file)

    def _forget(self, file: str) -> None:
        try:
            self._fs.rm_file(self._path(file))
        except FileNotFoundError:
            return

    def _path(self, file: str) -> str:
        return posixpath.join(self._folder, file)


def _compatible(theirs: Any, mine: list[int] | None) -> bool:
    """Say whether two runs take different sources."""
    return bool(theirs and mine and theirs[1] == mine[1] and theirs[0] != mine[0])


def _this_process() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "boot": _boot(),
        "space": _space(),
        "pid": os.getpid(),
        "born": _birth(os.getpid()),
    }


def _boot() -> str:
    return read_text(Path("/proc/sys/kernel/random/boot_id")).strip()


def _space() -> str:
    """Return in which space of process ids this one is: containers of one machine have their own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _birth(pid: int) -> str:
    """Return when a process was started, in the kernel's ticks; empty where that cannot be told."""
    _, _, rest = read_text(Path(f"/proc/{pid}/stat")).rpartition(")")
    fields = rest.split()
    return fields[19] if len(fields) > 19 else ""


def _is_alive(owner: dict[str, Any]) -> bool:
    pid = owner.get("pid")
    if type(pid) is not int or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _birth(pid) == owner.get("born")
