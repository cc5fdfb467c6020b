"""Workers that are threads of the caller's process."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
import traceback
from collections.abc import Sequence

from nemo_curator.backends.local.environments import refuse_environments
from nemo_curator.backends.workers.packer import make_packer
from nemo_curator.engine.beacon import Beacon
from nemo_curator.engine.guard import Reading, Sentence
from nemo_curator.engine.host import Closed, CloseWorker, Command, Event, WorkerHost, WorkerReady
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import Packer
from nemo_curator.engine.plan import WorkerShape
from nemo_curator.engine.session import Session

__all__ = ["ThreadPool"]

_log = logging.getLogger(__name__)


class _Worker(threading.Thread):
    """One worker: takes a command, answers with an event."""

    def __init__(
        self,
        number: int,
        options: RunOptions,
        packer: Packer,
        events: queue.SimpleQueue[Event | BaseException],
        gpus: Sequence[str],
    ) -> None:
        super().__init__(name=f"curator-worker-{number}", daemon=True)
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self.beacon = Beacon()
        self._host = WorkerHost(number, options, packer, beacon=self.beacon, allocation=list(gpus) or None)
        self._events = events
        self._number = number

    def run(self) -> None:
        self._events.put(WorkerReady(self._number))
        while True:
            command = self.commands.get()
            try:
                self._events.put(self._host.handle(command))
            except BaseException as error:  # the driver's thread raises it
                self._events.put(error)
                return
            if isinstance(command, CloseWorker):
                return


class ThreadPool:
    """Workers that are threads."""

    def __init__(self, session: Session, *, strict: bool) -> None:
        refuse_environments(session, "threads")
        self.packer = make_packer(strict=strict)
        self._options = session.options
        self._workers: dict[int, _Worker] = {}
        self._events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        self._seen: list[Event] = []
        self._spared: set[int] = set()

    def start(self, worker: int, shape: WorkerShape, gpus: Sequence[str]) -> None:
        """Start a thread."""
        thread = self._workers[worker] = _Worker(worker, self._options, self.packer, self._events, gpus)
        thread.start()

    def send(self, worker: int, command: Command) -> None:
        """Give a thread its next command."""
        self._workers[worker].commands.put(command)

    def wait(self, timeout_s: float) -> None:
        """Wait for the next event."""
        try:
            event = self._events.get(timeout=timeout_s) if timeout_s else self._events.get_nowait()
        except queue.Empty:
            return
        if isinstance(event, BaseException):
            raise event
        self._seen.append(event)

    def collect(self) -> list[Event]:
        """Return what happened."""
        events, self._seen = self._seen, []
        for event in events:
            if isinstance(event, Closed):
                self._workers.pop(event.worker).join()
        return events

    def look(self) -> list[Reading]:
        """Return where every thread is. Memory has no owner among threads."""
        return [Reading(number, None, worker.beacon.read()) for number, worker in self._workers.items()]

    def kill(self, sentence: Sentence) -> None:
        """Say once that a thread cannot be killed. Its task fails when the call returns, see `StageRunner`."""
        if sentence.worker not in self._spared:
            self._spared.add(sentence.worker)
            _log.warning("thread %d would have been killed, but cannot be: it %s", sentence.worker, sentence.how)

    def stacks(self) -> dict[int, str]:
        """Return the stack of every thread."""
        frames = sys._current_frames()
        return {
            number: "".join(traceback.format_stack(frames[worker.ident])).rstrip()
            for number, worker in self._workers.items()
            if worker.ident in frames
        }

    def own_bytes(self) -> int:
        """Return 0: without workers to end, there is nothing to hold the number against."""
        return 0

    def close(self, grace_s: float) -> list[str]:
        """Let every thread tear down. A thread cannot be killed: one that does not end in time is left behind and named."""
        for worker in self._workers.values():
            worker.commands.put(CloseWorker())
        deadline = time.monotonic() + grace_s
        problems: list[str] = []
        for worker in self._workers.values():
            worker.join(max(0.0, deadline - time.monotonic()))
            if worker.is_alive():
                problems.append(f"thread {worker.name} did not end within {grace_s:g} s and is left behind")
        self._workers.clear()
        while not self._events.empty():
            event = self._events.get()
            if isinstance(event, Closed):
                problems += event.problems
        return problems
