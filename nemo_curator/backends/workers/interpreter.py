"""`Interpreter`, a process that hosts workers, one after the other, and `Reserve`, where those wait that are between two runs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Self

from nemo_curator.backends.workers.channel import Channel
from nemo_curator.engine.memory import private_bytes

__all__ = ["Interpreter", "Reserve"]

_BOOT = "import sys; sys.path[:] = {path!r}; from nemo_curator.backends.workers.worker import main; main({fd})"
_PATIENCE_SECONDS = 30.0
# What has grown larger than what it has imported is better given back.
_MOST_BYTES = 256 << 20


class Interpreter:
    """A new Python interpreter with nothing of the caller's `__main__`; it waits for a `Hello`.

    Args:
        environment: Its environment variables.
        path: Where it finds modules, as `sys.path`.

    Attributes:
        environment: As given.
        path: As given.
        process: The process.
        channel: Its channel to the driver.
    """

    def __init__(self, environment: Mapping[str, str], path: Sequence[str]) -> None:
        self.environment = dict(environment)
        self.path = list(path)
        ours, theirs = socket.socketpair()
        with theirs:
            boot = _BOOT.format(path=self.path, fd=theirs.fileno())
            self.process = subprocess.Popen(
                [sys.executable, *_flags(), "-c", boot],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
                # Its own group: an interrupt at the terminal is the driver's to handle, and what the worker starts itself
                # can be ended with it.
                start_new_session=True,
            )
        # A process that is stopped while it sends or should receive must not stop the driver.
        self.channel = Channel(ours, _PATIENCE_SECONDS)

    def end(self) -> None:
        """Kill the process and everything that it started; its death is still to be noticed."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the process, everything that it started, and the channel."""
        self.end()
        self.process.wait()
        self.channel.close()


class Reserve:
    """Interpreters between two runs: the next one spares starting them, and importing again what they have imported.

    They have torn down what they had set up; what stays is what any process keeps: modules, and what these have at their top level.

    Args:
        ahead: Interpreters to start together with the first one: runs that follow one another often begin with a small one, which leaves
            the other CPUs time to start what the next will want.
    """

    def __init__(self, ahead: int = 0) -> None:
        self._waiting: list[Interpreter] = []
        self._ahead = ahead
        self._closed = False

    def provide(self, environment: Mapping[str, str], path: Sequence[str]) -> Interpreter:
        """Return one that was started like this: one that waits if there is one, or a new one."""
        interpreter = self.take(environment, path)
        if interpreter is None:
            interpreter = Interpreter(environment, path)
            self._waiting += [Interpreter(environment, path) for _ in range(self._ahead)]
            self._ahead = 0
        return interpreter

    def take(self, environment: Mapping[str, str], path: Sequence[str]) -> Interpreter | None:
        """Return one that lives and was started like this; `None` if there is none."""
        for interpreter in list(self._waiting):
            if interpreter.environment == environment and interpreter.path == list(path):
                self._waiting.remove(interpreter)
                if interpreter.process.poll() is None and not interpreter.channel.has_news():
                    return interpreter
                interpreter.kill()
        return None

    def keep(self, interpreter: Interpreter) -> None:
        """Take one that has nothing to do any more; it is ended if it has grown large, or if the reserve is closed."""
        if self._closed or (private_bytes(interpreter.process.pid) or 0) > _MOST_BYTES:
            interpreter.kill()
        else:
            self._waiting.append(interpreter)

    def private_bytes(self) -> int:
        """Return the memory of those that wait."""
        return sum(private_bytes(interpreter.process.pid) or 0 for interpreter in self._waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        while self._waiting:
            self._waiting.pop().kill()


def _flags() -> list[str]:
    """Return the switches that this interpreter was started with, as far as they change what code does."""
    flags = [f"-X{key}" if value is True else f"-X{key}={value}" for key, value in sys._xoptions.items()]
    return [*flags, *(["-O"] * sys.flags.optimize)]
