"""Runs one command, and lets nothing of it outlive the process that asked for it.

A program of its own: ``python -I keeper.py DRIVER_PID GRACE_S FOLDER... -- COMMAND...``; the folders are removed in the end. It imports nothing but the standard library, and nothing of this package, so that it starts at once.

It ends the command when it gets SIGTERM, and when its parent, the driver, is gone for whatever reason. The command gets SIGTERM
and, if anything is left after the grace, everything gets SIGKILL. Processes that the command left behind, in groups and sessions
of their own as Ray's workers are, become children of the keeper (it is a *subreaper*), so it finds them all. If the keeper itself
is killed, the kernel sends the command SIGTERM.

Its exit code is that of the command; 128 + the signal's number if that died of a signal, as shells have it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import time
from pathlib import Path

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TICK_S = 0.1


class Keeper:
    """Keeps one command."""

    def __init__(self, driver: int, grace_s: float, folders: list[str], command: list[str]) -> None:
        self.driver = driver
        self.grace_s = grace_s
        self.folders = folders
        self.command = command
        self.child = 0
        self.code: int | None = None
        self.asked = False

    def run(self) -> int:
        """Run the command until it ends, or shall end; return its exit code."""
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._start()
        while self.code is None and not self.asked and os.getppid() == self.driver:
            time.sleep(_TICK_S)
            self._reap()
        self._end()
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
        return 1 if self.code is None else self.code

    def _ask(self, *_: object) -> None:
        self.asked = True

    def _start(self) -> None:
        # What the driver gave along, as its claims on ports, stays here.
        for name in os.listdir("/dev/fd"):
            if int(name) > 2:
                _keep_to_ourselves(int(name))
        self.child = os.fork()
        if self.child == 0:
            try:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
                os.execv(self.command[0], self.command)  # noqa: S606  a fixed list of arguments, no shell
            except OSError as error:
                os.write(2, f"cannot run {self.command[0]}: {error}\n".encode())
            finally:
                os._exit(127)

    def _end(self) -> None:
        """End what is left, kindly first."""
        deadline = time.monotonic() + self.grace_s
        if self.code is None:
            # Ray ends its own processes in the right order; a signal to all of them at once leaves some waiting for others.
            _send(self.child, signal.SIGTERM)
        while self._left() and time.monotonic() < deadline:
            time.sleep(_TICK_S)
            self._reap()
        while left := self._left():
            for pid in left:
                _send(pid, signal.SIGKILL)
            time.sleep(_TICK_S / 10)
            self._reap()

    def _left(self) -> list[int]:
        """Return the processes below this one."""
        children = _children()
        if not children:
            # No /proc: the command is all that is known.
            return [self.child] if self.code is None else []
        found: list[int] = []
        ahead = [os.getpid()]
        while ahead:
            below = children.get(ahead.pop(), [])
            found += below
            ahead += below
        return found

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.child:
                code = os.waitstatus_to_exitcode(status)
                self.code = code if code >= 0 else 128 - code


def _children() -> dict[int, list[int]]:
    """Return the children of every process."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # Behind the name, which may hold anything, come the state and the parent.
            parent = int(stat.read_bytes().rpartition(b")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    return children


def _keep_to_ourselves(descriptor: int) -> None:
    try:
        os.set_inheritable(descriptor, False)
    except OSError:
        # The listing's own descriptor is closed by now.
        return


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main(arguments: list[str]) -> int:
    """Read the arguments and keep the command."""
    border = arguments.index("--")
    driver, grace_s, *folders = arguments[:border]
    return Keeper(int(driver), float(grace_s), folders, arguments[border + 1 :]).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
