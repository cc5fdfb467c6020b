"""`WorkerProcess`: one worker process, seen from the driver."""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping

from nemo_curator.backends.workers.channel import Channel
from nemo_curator.backends.workers.packer import SharedMemory
from nemo_curator.backends.workers.worker import STACK_SIGNAL, Hello
from nemo_curator.engine.beacon import Beacon
from nemo_curator.engine.guard import Sentence
from nemo_curator.engine.memory import process_state
from nemo_curator.engine.options import RunOptions

__all__ = ["WorkerProcess"]

_BOOT = "import sys; sys.path[:] = {path!r}; from nemo_curator.backends.workers.worker import main; main({fd})"
_SECONDS_TO_EXIT = 2.0
_PATIENCE_SECONDS = 30.0
_STACK_BYTES = 64 * 1024


class WorkerProcess:
    """A worker process.

    Args:
        number: Number of the worker.
        environment: Its environment variables.
        options: The run's options.
        gpus: Devices of its own.

    Attributes:
        beacon: Where it says what it is at.
        busy: It has a command.
        channel: Its channel to the driver.
        last_words: Its stack when it was killed.
        process: The process.
        sentence: Why it was killed by the driver; `None` if it was not.
    """

    def __init__(self, number: int, environment: Mapping[str, str], options: RunOptions, gpus: tuple[str, ...]) -> None:
        memory, self._stacks = SharedMemory.zeros(Beacon.SIZE), SharedMemory.zeros(0)
        ours, theirs = socket.socketpair()
        with theirs:
            boot = _BOOT.format(path=sys.path, fd=theirs.fileno())
            self.process = subprocess.Popen(
                [sys.executable, *_interpreter_flags(), "-c", boot],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
                # Its own group: an interrupt at the terminal is the driver's to handle, and what the worker starts itself
                # can be ended with it.
                start_new_session=True,
            )
        self.number = number
        self.busy = False
        self.sentence: Sentence | None = None
        self.last_words = ""
        self.beacon = Beacon(mmap.mmap(memory.fd, Beacon.SIZE))
        # A process that is stopped while it sends or should receive must not stop the driver.
        self.channel = Channel(ours, _PATIENCE_SECONDS)
        hello = Hello(number, options, os.getpid(), memory, self._stacks, gpus)
        # A process that dies at once takes no greeting; whoever waits for it finds out and says how it ended.
        with contextlib.suppress(OSError):
            self.channel.send(hello)

    def stack(self, deadline: float) -> str:
        """Return the Python stack of all its threads; a sentence where it cannot be had.

        Args:
            deadline: When to stop waiting for it (`time.monotonic`).
        """
        state = process_state(self.process.pid)
        if state == "stopped":
            return "(the process is stopped by SIGSTOP or a debugger, so its stack cannot be had)"
        fd = self._stacks.fd
        os.ftruncate(fd, 0)
        with contextlib.suppress(OSError):
            os.kill(self.process.pid, STACK_SIGNAL)
        text = b""
        while time.monotonic() < deadline:
            found = os.pread(fd, _STACK_BYTES, max(0, os.fstat(fd).st_size - _STACK_BYTES))
            if found and found == text:
                break
            text = found
            select.select([], [], [], 0.01)
        # Written at an offset of its own, so that zeros may stand before it.
        words = text.lstrip(b"\0").decode(errors="replace").rstrip()
        return words or "(no stack came in time)"

    def end(self) -> None:
        """Kill the process and everything that it started; its death is still to be noticed."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the process, everything that it started, and the channel."""
        self.end()
        self.process.wait()
        self.channel.close()

    @property
    def was_killed(self) -> bool:
        """Whether it ended by SIGKILL."""
        return self.process.returncode == -signal.SIGKILL

    def fate(self) -> str:
        """Return how the process ended, as half a sentence."""
        try:
            code = self.process.wait(_SECONDS_TO_EXIT)
        except subprocess.TimeoutExpired:
            return "closed its channel to the driver"
        if code < 0:
            return f"was killed by signal {-code} ({signal.Signals(-code).name})"
        return f"exited with code {code}"


def _interpreter_flags() -> list[str]:
    """Return the switches that this interpreter was started with, as far as they change what code does."""
    flags = [f"-X{key}" if value is True else f"-X{key}={value}" for key, value in sys._xoptions.items()]
    return [*flags, *(["-O"] * sys.flags.optimize)]
