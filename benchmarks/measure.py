"""Measure one whole process with everything that it starts: time, CPU and memory."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = ["RunFailed", "Sample", "left_alone", "measure", "program", "tree"]

ROOT = Path(__file__).resolve().parent.parent

_SAMPLE_SECONDS = 0.02
_SAMPLE_SHARE = 0.03
"""Part of a CPU that watching may take: there are programs with dozens of processes and a thousand threads."""
_TIMEOUT_SECONDS = 3600
_ORPHAN_SECONDS = 10
_PR_SET_CHILD_SUBREAPER = 36
_MIB = 1024**2
_MAX_LINES = 5

_left_alone: set[int] = set()
"""Children of this process that belong to no program."""


class RunFailed(RuntimeError):
    """A program did not end with exit code 0; the message holds the end of what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of one program.

    Attributes:
        wall: Seconds from the start of the process to its end.
        cpu: User and system seconds of the process and all its descendants.
        driver_mb: Peak resident memory of the process itself, in MiB; 0 if it could not be read or was over too soon.
        tree_mb: Peak of the sum over the process and its descendants, in MiB. Pages that they share count for each of them.
        facts: What the program printed about itself as JSON in its last line.
    """

    wall: float
    cpu: float
    driver_mb: float
    tree_mb: float
    facts: dict[str, Any] = field(default_factory=dict)


def program(
    name: str, *arguments: object, python: str | Path = sys.executable, flags: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the command that runs ``benchmarks/programs/<name>.py``; the flags are for Python."""
    return (str(python), *flags, "-m", f"benchmarks.programs.{name}", *map(str, arguments))


@contextmanager
def left_alone(pid: int) -> Iterator[None]:
    """Do not take this child, nor anything below it, for what a program has left behind."""
    _left_alone.add(pid)
    try:
        yield
    finally:
        _left_alone.discard(pid)


def measure(command: Sequence[str], variables: Mapping[str, str] | None = None, folder: Path = ROOT) -> Sample:
    """Run a command and measure it.

    Args:
        command: The command.
        variables: What its environment has besides this process's.
        folder: Where it runs: the root of the repository unless given.

    Raises:
        RunFailed: Its exit code was not 0.
    """
    _adopt_orphans()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment() | dict(variables or {}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
        )
        with _Watch(process.pid) as watch, _killed_after(_TIMEOUT_SECONDS):
            # Of this very process, with the descendants that it has waited for; `subprocess` would not tell.
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime + _reap_orphans()
        said = _read(out)
        if process.returncode:
            last = "\n".join((_read(errors) or said).splitlines()[-_MAX_LINES:])
            raise RunFailed(f"{' '.join(command)}: exit code {process.returncode}\n{last}")
    return Sample(
        wall=wall,
        cpu=cpu,
        driver_mb=watch.driver / _MIB,
        tree_mb=watch.tree / _MIB,
        facts=_facts(said),
    )


def _environment() -> dict[str, str]:
    """Return the environment without what steers Python or Ray.

    With bytecode switched off, every import would compile anew; with a cluster named, programs would not start their own.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RAY_"))}


def _adopt_orphans() -> None:
    """Become the parent of descendants whose parent ends before them, so that their CPU time is not lost."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _reap_orphans() -> float:
    """Wait for what a program has left behind, and kill what does not end; return the CPU seconds that it took."""
    seconds = 0.0
    with _killed_after(_ORPHAN_SECONDS), suppress(ChildProcessError):
        # With every one that ends, its own children may come.
        while orphans := [pid for pid in _children(os.getpid()) if pid not in _left_alone]:
            for pid in orphans:
                _, _, usage = os.wait4(pid, 0)
                seconds += usage.ru_utime + usage.ru_stime
    return seconds


@contextmanager
def _killed_after(seconds: float) -> Iterator[None]:
    """Kill all descendants of this process when the block takes too long or is interrupted."""
    killer = threading.Timer(seconds, _kill_descendants)
    killer.start()
    try:
        yield
    except BaseException:
        _kill_descendants()
        raise
    finally:
        killer.cancel()


def _kill_descendants() -> None:
    _, *descendants = tree(os.getpid(), without=_left_alone)
    for pid in descendants:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _read(file: Any) -> str:
    file.seek(0)
    return file.read().strip()


def _facts(said: str) -> dict[str, Any]:
    last = said.splitlines()[-1] if said else ""
    with suppress(ValueError):
        facts = json.loads(last)
        if isinstance(facts, dict):
            return facts
    return {}


class _Watch:
    """Samples the memory of a process tree from ``/proc`` in a thread; on systems without it, it sees nothing."""

    def __init__(self, pid: int) -> None:
        self.driver = 0
        self.tree = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        if Path("/proc/self/status").exists():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        took = 0.0
        while not self._over.wait(max(_SAMPLE_SECONDS, took / _SAMPLE_SHARE)):
            start = time.thread_time()
            # The kernel keeps the peak of the process itself, so only what its last milliseconds add is not seen.
            self.driver = max(self.driver, _status_bytes(self._pid, "VmHWM"))
            self.tree = max(self.tree, sum(_status_bytes(pid, "VmRSS") for pid in tree(self._pid)))
            took = time.thread_time() - start


def _status_bytes(pid: int, name: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0


def tree(pid: int, without: Set[int] = frozenset()) -> Iterator[int]:
    """Yield a process and its descendants; not those of `without`, nor what is below them."""
    yield pid
    for child in _children(pid):
        if child not in without:
            yield from tree(child, without)


def _children(pid: int) -> list[int]:
    """Return the children of a process, as far as ``/proc`` tells."""
    children: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            children += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return children
