"""Workers that are processes.

Each is a new interpreter, started with nothing of the caller's `__main__`: scripts need no ``if __name__ == "__main__"``, and
no lock or thread of the caller is copied into it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time

from nemo_curator.backends.local.channel import Channel, OutOfDescriptorsError
from nemo_curator.backends.local.environments import check_environments, environment_of
from nemo_curator.backends.local.packer import ProcessPacker
from nemo_curator.backends.local.worker import Hello
from nemo_curator.engine.host import Closed, CloseWorker, Command, Event, WorkerVanished
from nemo_curator.engine.plan import WorkerShape
from nemo_curator.engine.session import Session
from nemo_curator.errors import WorkerLost

__all__ = ["ProcessPool"]

_BOOT = "import sys; sys.path[:] = {path!r}; from nemo_curator.backends.local.worker import main; main({fd})"
_SECONDS_TO_EXIT = 2.0


class _Worker:
    """A worker process, seen from the driver."""

    def __init__(self, number: int, shape: WorkerShape, hello: Hello) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            boot = _BOOT.format(path=sys.path, fd=theirs.fileno())
            self.process = subprocess.Popen(
                [sys.executable, *_interpreter_flags(), "-c", boot],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment_of(shape),
                # Its own group: an interrupt at the terminal is the driver's to handle, and what the worker starts itself
                # can be ended with it.
                start_new_session=True,
            )
        self.number = number
        self.busy = False
        self.channel = Channel(ours)
        # A process that dies at once takes no greeting; whoever waits for it finds out and says how it ended.
        with contextlib.suppress(OSError):
            self.channel.send(hello)

    def kill(self) -> None:
        """End the process and everything that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.channel.close()

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


class ProcessPool:
    """Workers that are processes."""

    def __init__(self, session: Session) -> None:
        check_environments(session)
        self.packer = ProcessPacker(by_value=True, keeps=True)
        self._options = session.options
        self._workers: dict[int, _Worker] = {}
        self._selector = selectors.DefaultSelector()
        # Every large result that waits holds a descriptor; the usual soft limit is meant for programs that forget to close.
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._files[1], self._files[1]))

    def start(self, worker: int, shape: WorkerShape) -> None:
        """Start a process."""
        started = _Worker(worker, shape, Hello(worker, self._options, os.getpid()))
        started.busy = True
        self._workers[worker] = started
        self._selector.register(started.channel, selectors.EVENT_READ, started)

    def send(self, worker: int, command: Command) -> None:
        """Give a process its next command."""
        target = self._workers[worker]
        target.busy = True
        # A process that has just died takes no command; `wait` will find out and say how it ended.
        with contextlib.suppress(OSError):
            target.channel.send(command)

    def wait(self) -> list[Event]:
        """Return what happened; blocks until something has."""
        return self._collect(None)

    def close(self, grace_s: float) -> list[str]:
        """Let idle processes tear down, wait for busy ones, and kill whoever is not done in time."""
        deadline = time.monotonic() + grace_s
        problems: list[str] = []
        closing: set[int] = set()
        while self._workers and (left := deadline - time.monotonic()) > 0:
            for number, worker in self._workers.items():
                if not worker.busy and number not in closing:
                    closing.add(number)
                    self.send(number, CloseWorker())
            problems += self._watch_closing(left)
        for worker in list(self._workers.values()):
            problems.append(f"worker {worker.number} was still busy after {grace_s:g} s and was killed")
            self._forget(worker)
        self._selector.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, self._files)
        return problems

    def _watch_closing(self, timeout: float) -> list[str]:
        """Return what went wrong with workers that were closing, as far as something happened in time."""
        try:
            events = self._collect(timeout)
        except WorkerLost as error:
            return [str(error)]
        problems: list[str] = []
        for event in events:
            if isinstance(event, Closed):
                problems += event.problems
            elif isinstance(event, WorkerVanished):
                problems.append(f"worker {event.worker} {event.how} before it had torn down")
        return problems

    def _collect(self, timeout: float | None) -> list[Event]:
        return [self._read(key.data) for key, _ in self._selector.select(timeout)]

    def _read(self, worker: _Worker) -> Event:
        try:
            event: Event = worker.channel.receive()
        except OutOfDescriptorsError:
            self._forget(worker)
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            message = (
                f"this process may open {limit} files, which is too few for the results that wait in shared memory; "
                "raise the limit (ulimit -n), or lower edge_bytes"
            )
            raise WorkerLost(message) from None
        except EOFError:
            fate = worker.fate()
            self._forget(worker)
            return WorkerVanished(worker.number, fate)
        worker.busy = False
        if isinstance(event, Closed):
            worker.process.wait()
            self._forget(worker)
        return event

    def _forget(self, worker: _Worker) -> None:
        del self._workers[worker.number]
        self._selector.unregister(worker.channel)
        worker.kill()
