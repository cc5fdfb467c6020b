"""`NodeAgent`: an actor for a node, which has the worker processes there and answers for them.

The agent reserves the node's CPUs and GPUs for the run, so that nobody else is promised them. No user code runs in it: a worker that
crashes, hangs or takes too much memory is seen and ended by it as the local backend would, and the cluster never loses an actor to
user code.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nemo_curator.backends.cluster.payload import localised, published
from nemo_curator.backends.workers.pool import ProcessPool
from nemo_curator.engine.guard import Reading, Sentence
from nemo_curator.engine.host import Command, Event, Progressed, RunBundle
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import Slice

__all__ = ["NodeAgent"]


class NodeAgent:
    """The workers of one node. Methods are called by the driver, over Ray; `post` and `poll` in threads of their own.

    Args:
        node: Ray's id of the node.
        options: The run's options.
        hides_gpus: Some workers own devices, so that one without any must see none.
        watches_memory: Stages say how much memory they need.
        path: Folders where modules of the driver's are.
    """

    def __init__(
        self, node: str, options: RunOptions, *, hides_gpus: bool, watches_memory: bool, path: Sequence[str]
    ) -> None:
        import ray

        self._ray = ray
        self._node = node
        # Ray sets it to the CPUs of this actor, which are those of all workers together.
        os.environ.pop("OMP_NUM_THREADS", None)
        self._pool = ProcessPool(options, hides_gpus=hides_gpus, watches_memory=watches_memory, node=node, path=path)
        self._orders: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._problems: list[BaseException] = []
        self._closing = False
        # Whoever polls holds the turn; the lock is for a moment.
        self._turn, self._lock = threading.Lock(), threading.Lock()

    def where(self) -> str:
        """Return the host's name; says at the same time that the agent is there."""
        return socket.gethostname()

    def post(self, orders: Sequence[tuple[str, tuple[Any, ...]]]) -> None:
        """Take orders, ``(method of the pool, arguments)``; large frames are fetched here, while other workers go on."""
        try:
            ready = [(name, self._with_local_frames(arguments)) for name, arguments in orders]
        except (
            Exception
        ) as error:  # an object was lost with its node, or Ray's store is full: the driver is told by `poll`
            self._problems.append(error)
            ready = []
        self._orders.extend(ready)
        self._pool.wake()

    def poll(self, timeout_s: float) -> list[Event]:
        """Carry out orders and return what happened; waits for something, but no longer than so many seconds."""
        deadline = time.monotonic() + timeout_s
        with self._turn:
            while not self._closing:
                if self._problems:
                    raise self._problems.pop()
                with self._lock:
                    while self._orders:
                        name, arguments = self._orders.popleft()
                        getattr(self._pool, name)(*arguments)
                self._pool.wait(max(0.0, deadline - time.monotonic()))
                with self._lock:
                    events = self._pool.collect()
                if events or time.monotonic() >= deadline:
                    return [self._for_travel(event) for event in events]
        return []

    def look(self) -> list[Reading]:
        """Return what can be seen of every worker. Times are ages, in seconds: clocks of nodes differ."""
        with self._lock:
            seen = self._pool.look()
        now = time.perf_counter()
        return [
            replace(reading, where=replace(reading.where, since=now - reading.where.since))
            if reading.where.since
            else reading
            for reading in seen
        ]

    def kill(self, sentence: Sentence) -> None:
        """Kill a worker, after it has said where it stands."""
        with self._lock:
            self._pool.kill(sentence)

    def stacks(self) -> dict[int, str]:
        """Return the Python stack of every worker."""
        with self._lock:
            return self._pool.stacks()

    def close(self, grace_s: float) -> list[str]:
        """End all workers; `poll` returns."""
        self._closing = True
        self._pool.wake()
        with self._turn, self._lock:
            return self._pool.close(grace_s)

    def _with_local_frames(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(self._local(argument) if isinstance(argument, RunBundle) else argument for argument in arguments)

    def _local(self, command: RunBundle) -> Command:
        bundle = [Slice(localised(self._ray, piece.frame), piece.start, piece.stop) for piece in command.bundle]
        return replace(command, bundle=tuple(bundle))

    def _for_travel(self, event: Event) -> Event:
        if isinstance(event, Progressed) and event.frames:
            return replace(event, frames=published(self._ray, event.frames, self._node))
        return event
