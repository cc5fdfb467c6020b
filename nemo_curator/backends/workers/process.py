"""`WorkerProcess`: one worker process, seen from the driver."""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import signal
import subprocess
import time

from nemo_curator.backends.workers.interpreter import Interpreter
from nemo_curator.backends.workers.packer import SharedMemory
from nemo_curator.backends.workers.worker import STACK_SIGNAL, Hello
from nemo_curator.engine.beacon import Beacon
from nemo_curator.engine.guard import Sentence
from nemo_curator.engine.host import Command, Event, Progressed, ResumeRun, RunBundle, WorkerVanished
from nemo_curator.engine.memory import oom_kills, process_state
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.verdict import Death

__all__ = ["WorkerProcess"]

_SECONDS_TO_EXIT = 2.0
_STACK_SECONDS = 0.5
_STACK_BYTES = 64 * 1024


class WorkerProcess:
    """A worker process.

    Args:
        number: Number of the worker.
        interpreter: The process.
        options: The run's options.
        gpus: Devices of its own.
        node: Name of this machine.
        orphans_tear_down: See `ProcessPool`.
        stays: The process can host another worker when this one has torn down.

    Attributes:
        beacon: Where it says what it is at.
        busy: It has a command.
        channel: Its channel to the driver.
        interpreter: The process, which may have hosted others before.
        last_words: Its stack when it was killed.
        process: The process.
        sentence: Why it was killed by the driver; `None` if it was not.
    """

    def __init__(
        self,
        number: int,
        interpreter: Interpreter,
        options: RunOptions,
        gpus: tuple[str, ...],
        *,
        node: str = "localhost",
        orphans_tear_down: bool = False,
        stays: bool = False,
    ) -> None:
        memory, self._stacks = SharedMemory.zeros(Beacon.SIZE), SharedMemory.zeros(0)
        self.interpreter = interpreter
        self.process, self.channel = interpreter.process, interpreter.channel
        self.number = number
        self.busy = False
        self._run: int | None = None
        self._unfinished: set[int] = set()
        self._waiting: dict[int, RunBundle] = {}
        self.sentence: Sentence | None = None
        self.last_words = ""
        self._oom_kills = oom_kills()
        self.beacon = Beacon(mmap.mmap(memory.fd, Beacon.SIZE))
        hello = Hello(number, options, os.getpid(), memory, self._stacks, gpus, node, orphans_tear_down, stays)
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

    def give(self, command: Command) -> None:
        """Send a command, or keep it until the run has finished that it is to follow.

        A process that has just died takes none, one that is stopped is killed; `receive` tells.
        """
        if isinstance(command, RunBundle):
            if command.after in self._unfinished:
                self._waiting[command.after] = command
                return
            self._unfinished.add(command.run)
        self.busy = True
        self._run = command.run if isinstance(command, (RunBundle, ResumeRun)) else None
        try:
            self.channel.send(command)
        except TimeoutError:
            self.interpreter.end()
        except OSError:
            pass

    def receive(self) -> Event:
        """Return the next event; blocks until there is one, which may be that the process has died.

        Raises:
            OutOfDescriptorsError: This process may not open as many files as the event brings.
        """
        try:
            event: Event = self.channel.receive()
        except EOFError:
            return self._obituary()
        self.busy = False
        if isinstance(event, Progressed) and event.finished:
            self._unfinished.discard(event.run)
            if event.run in self._waiting:
                self.give(self._waiting.pop(event.run))
        return event

    def forget_waiting(self) -> None:
        """Drop what it was to run by itself."""
        self._waiting.clear()

    def execute(self, sentence: Sentence) -> None:
        """Kill the process for a reason, after it has said where it stands. One that has just answered is spared."""
        if sentence.run is not None and sentence.run != self._run:
            return
        if self.sentence is None and self.busy and not self.channel.has_news():
            self.sentence = sentence
            self.last_words = self.stack(time.monotonic() + _STACK_SECONDS)
            self.interpreter.end()

    def _obituary(self) -> WorkerVanished:
        """Return what is known about the end of the process."""
        where, fate, sentence = self.beacon.read(), self._fate(), self.sentence
        if sentence is not None:
            return WorkerVanished(self.number, sentence.how, sentence.death, where, self.last_words)
        if self.process.returncode == -signal.SIGKILL and oom_kills() > self._oom_kills:
            how = f"{fate} by the kernel, as memory ran out"
            return WorkerVanished(self.number, how, Death.OUT_OF_MEMORY, where)
        return WorkerVanished(self.number, fate, Death.CRASHED, where)

    def _fate(self) -> str:
        """Return how the process ended, as half a sentence."""
        try:
            code = self.process.wait(_SECONDS_TO_EXIT)
        except subprocess.TimeoutExpired:
            return "closed its channel to the driver"
        if code < 0:
            return f"was killed by signal {-code} ({signal.Signals(-code).name})"
        return f"exited with code {code}"
