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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = ["RunFailed", "Sample", "measure", "program"]

ROOT = Path(__file__).resolve().parent.parent

_SAMPLE_SECONDS = 0.02
_TIMEOUT_SECONDS = 3600
_ORPHAN_SECONDS = 10
_PR_SET_CHILD_SUBREAPER = 36
_MIB = 1024**2
_MAX_LINES = 5


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


def program(name: str, *arguments: object, python: str | Path = sys.executable) -> tuple[str, ...]:
    """Return the command that runs ``benchmarks/programs/<name>.py``."""
    return (str(python), "-m", f"benchmarks.programs.{name}", *map(str, arguments))


def measure(command: Sequence[str]) -> Sample:
    """Run a command in the root of the repository and measure it.

    Raises:
        RunFailed: Its exit code was not 0.
    """
    _adopt_orphans()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=_environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=errors
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
    """Return the environment without what steers Python: with bytecode switched off, every import would compile anew."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _adopt_orphans() -> None:
    """Become the parent of descendants whose parent ends before them, so that their CPU time is not lost."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _reap_orphans() -> float:
    """Wait for what a program has left behind, and kill what does not end; return the CPU seconds that it took."""
    seconds = 0.0
    with _killed_after(_ORPHAN_SECONDS), suppress(ChildProcessError):
        while True:
            _, _, usage = os.wait4(-1, 0)
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
    _, *descendants = _tree(os.getpid())
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
        while not self._over.wait(_SAMPLE_SECONDS):
            # The kernel keeps the peak of the process itself, so only what its last milliseconds add is not seen.
            self.driver = max(self.driver, _status_bytes(self._pid, "VmHWM"))
            self.tree = max(self.tree, sum(_status_bytes(pid, "VmRSS") for pid in _tree(self._pid)))


def _status_bytes(pid: int, name: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0


def _tree(pid: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    yield pid
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                yield from _tree(int(child))
