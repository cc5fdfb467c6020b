"""Workers that are processes of this machine, whichever backend has them.

Each is a new interpreter, started with nothing of the caller's `__main__`: scripts need no ``if __name__ == "__main__"``, and
no lock or thread of the caller is copied into it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import sys
import time
from collections.abc import Sequence

from nemo_curator.backends.workers.channel import OutOfDescriptorsError
from nemo_curator.backends.workers.environment import environment_of
from nemo_curator.backends.workers.interpreter import Interpreter, Reserve
from nemo_curator.backends.workers.packer import ProcessPacker
from nemo_curator.backends.workers.process import WorkerProcess
from nemo_curator.engine.guard import Reading, Sentence
from nemo_curator.engine.host import Closed, CloseWorker, Command, Event, WorkerVanished
from nemo_curator.engine.memory import private_bytes
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.plan import WorkerShape
from nemo_curator.errors import WorkerLost

__all__ = ["ProcessPool"]

_STACK_SECONDS = 0.5


class ProcessPool:
    """Workers that are processes.

    Args:
        options: The run's options.
        hides_gpus: Some workers own devices, so that one without any must see none.
        watches_memory: Somebody wants to know what memory they have.
        node: Name of this machine, for stages to know.
        path: Folders where modules of the driver's are, for workers to find them too, as far as this machine has them.
        orphans_tear_down: Whoever has this pool may be killed without a word; idle workers then tear down before they end.
        reserve: Where processes come from and go to; when not given, they are started, and end.
    """

    def __init__(
        self,
        options: RunOptions,
        *,
        hides_gpus: bool = False,
        watches_memory: bool = False,
        node: str = "localhost",
        path: Sequence[str] = (),
        orphans_tear_down: bool = False,
        reserve: Reserve | None = None,
    ) -> None:
        self.packer = ProcessPacker(by_value=True, keeps=True)
        self._options = options
        self._hides_gpus = hides_gpus
        self._watches_memory = watches_memory
        self._node = node
        self._path = [*sys.path, *(folder for folder in path if folder not in sys.path and os.path.isdir(folder))]
        self._orphans_tear_down = orphans_tear_down
        self._reserve = reserve
        self._workers: dict[int, WorkerProcess] = {}
        self._selector = selectors.DefaultSelector()
        self._ready: list[WorkerProcess] = []
        self._alarm, self._bell = os.pipe()
        os.set_blocking(self._bell, False)
        self._selector.register(self._alarm, selectors.EVENT_READ, None)
        self._own_bytes_before = private_bytes(os.getpid()) or 0
        # Every large result that waits holds a descriptor; the usual soft limit is meant for programs that forget to close.
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._files[1], self._files[1]))

    def start(self, worker: int, shape: WorkerShape, gpus: Sequence[str]) -> None:
        """Start a process."""
        environment = environment_of(shape, gpus, hide_gpus=self._hides_gpus)
        start = Interpreter if self._reserve is None else self._reserve.provide
        started = WorkerProcess(
            worker,
            start(environment, self._path),
            self._options,
            tuple(gpus),
            node=self._node,
            orphans_tear_down=self._orphans_tear_down,
            stays=self._reserve is not None,
        )
        started.busy = True
        self._workers[worker] = started
        self._selector.register(started.channel, selectors.EVENT_READ, started)

    def send(self, worker: int, command: Command) -> None:
        """Give a process its next command."""
        self._workers[worker].give(command)

    def wait(self, timeout_s: float) -> None:
        """Wait until a process has something to say. A signal may end it: nothing has been read by then."""
        keys = [key for key, _ in self._selector.select(timeout_s)]
        if any(key.data is None for key in keys):
            os.read(self._alarm, 4096)
        self._ready = [key.data for key in keys if key.data is not None]

    def wake(self) -> None:
        """Let `wait` return, from another thread."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._bell, b".")

    def collect(self) -> list[Event]:
        """Read what processes have to say."""
        ready, self._ready = self._ready, []
        return [self._read(worker) for worker in ready]

    def look(self) -> list[Reading]:
        """Return where every process is and what memory it has."""
        return [
            Reading(
                number,
                None,
                worker.beacon.read(),
                private_bytes(worker.process.pid) if self._watches_memory else None,
            )
            for number, worker in self._workers.items()
        ]

    def kill(self, sentence: Sentence) -> None:
        """Kill a process, after it has said where it stands."""
        worker = self._workers.get(sentence.worker)
        if worker is not None:
            worker.execute(sentence)

    def stacks(self) -> dict[int, str]:
        """Return the Python stack of every process, as far as they can be had in half a second."""
        deadline = time.monotonic() + _STACK_SECONDS
        return {number: worker.stack(deadline) for number, worker in self._workers.items()}

    def own_bytes(self) -> int:
        """Return what the driver has grown by since the run began, and what processes have that wait for another."""
        if not self._watches_memory:
            return 0
        waiting = 0 if self._reserve is None else self._reserve.private_bytes()
        return max(0, (private_bytes(os.getpid()) or 0) - self._own_bytes_before) + waiting

    def close(self, grace_s: float) -> list[str]:
        """Let idle processes tear down, wait for busy ones, and kill whoever is not done in time."""
        deadline = time.monotonic() + grace_s
        problems: list[str] = []
        closing: set[int] = set()
        for worker in self._workers.values():
            worker.forget_waiting()
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
        os.close(self._alarm)
        os.close(self._bell)
        resource.setrlimit(resource.RLIMIT_NOFILE, self._files)
        return problems

    def _watch_closing(self, timeout_s: float) -> list[str]:
        """Return what went wrong with workers that were closing, as far as something happened in time."""
        try:
            self.wait(timeout_s)
            events = self.collect()
        except WorkerLost as error:
            return [str(error)]
        problems: list[str] = []
        for event in events:
            if isinstance(event, Closed):
                problems += event.problems
            elif isinstance(event, WorkerVanished):
                problems.append(f"worker {event.worker} {event.how} before it had torn down")
        return problems

    def _read(self, worker: WorkerProcess) -> Event:
        try:
            event = worker.receive()
        except OutOfDescriptorsError:
            self._forget(worker)
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            message = (
                f"this process may open {limit} files, which is too few for the results that wait in shared memory; "
                "raise the limit (ulimit -n), or lower edge_bytes"
            )
            raise WorkerLost(message) from None
        if isinstance(event, Closed):
            self._dismiss(worker)
        elif isinstance(event, WorkerVanished):
            self._forget(worker)
        return event

    def _dismiss(self, worker: WorkerProcess) -> None:
        """Let go of a process whose worker has torn down."""
        if self._reserve is None:
            worker.process.wait()
            self._forget(worker)
        else:
            self._strike(worker)
            self._reserve.keep(worker.interpreter)

    def _forget(self, worker: WorkerProcess) -> None:
        self._strike(worker)
        worker.interpreter.kill()

    def _strike(self, worker: WorkerProcess) -> None:
        del self._workers[worker.number]
        self._selector.unregister(worker.channel)
