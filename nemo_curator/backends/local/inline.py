"""Everything in the caller's thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from nemo_curator.backends.local.environments import refuse_environments
from nemo_curator.backends.workers.packer import make_packer
from nemo_curator.engine.guard import Reading, Sentence
from nemo_curator.engine.host import CloseWorker, Command, Event, WorkerHost, WorkerReady
from nemo_curator.engine.plan import WorkerShape
from nemo_curator.engine.session import Session

__all__ = ["InlinePool"]


class InlinePool:
    """Workers that run their command when somebody waits for the answer."""

    def __init__(self, session: Session, *, strict: bool) -> None:
        refuse_environments(session, "inline")
        self.packer = make_packer(strict=strict)
        self._options = session.options
        self._hosts: dict[int, WorkerHost] = {}
        self._events: deque[Event] = deque()
        self._commands: deque[tuple[int, Command]] = deque()

    def start(self, worker: int, shape: WorkerShape, gpus: Sequence[str]) -> None:
        """Start a worker."""
        self._hosts[worker] = WorkerHost(worker, self._options, self.packer, allocation=list(gpus) or None)
        self._events.append(WorkerReady(worker))

    def send(self, worker: int, command: Command) -> None:
        """Take a command; it runs in `wait`."""
        self._commands.append((worker, command))

    def wait(self, timeout_s: float) -> None:
        """Run the oldest command, unless something happened before."""
        if not self._events and self._commands:
            worker, command = self._commands.popleft()
            self._events.append(self._hosts[worker].handle(command))
            if isinstance(command, CloseWorker):
                del self._hosts[worker]

    def collect(self) -> list[Event]:
        """Return what happened."""
        events = list(self._events)
        self._events.clear()
        return events

    def look(self) -> list[Reading]:
        """Return nothing: whoever looks is whoever works."""
        return []

    def kill(self, sentence: Sentence) -> None:
        """Do nothing: nobody is ever sentenced, as there is nobody to look."""

    def stacks(self) -> dict[int, str]:
        """Return nothing: when this is asked for, no user code runs."""
        return {}

    def own_bytes(self) -> int:
        """Return 0: without workers to end, there is nothing to hold the number against."""
        return 0

    def close(self, grace_s: float) -> list[str]:
        """Tear every worker down. What hangs here hangs the caller: there is nobody to stop it."""
        problems = [problem for host in self._hosts.values() for problem in host.close()]
        self._hosts.clear()
        return problems
