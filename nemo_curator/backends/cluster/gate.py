"""`GatedPool`: one worker process, whose first setup waits until its node is prepared, by itself or by another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from nemo_curator.backends.workers.pool import ProcessPool
from nemo_curator.engine.host import Command, Event, Opened, OpenSegment, WorkerVanished
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.plan import WorkerShape

__all__ = ["GatedPool"]


class GatedPool(ProcessPool):
    """A process pool whose workers prepare the node only if it is their turn.

    Args:
        options: The run's options.
        gate: Says whether to prepare the node; returns when that is known, or when another has done so.
        born: Is told the process id of every worker.
        passed: Is told whether the node is prepared, where the answer was to prepare it.
        others: Arguments of `ProcessPool`.
    """

    def __init__(
        self,
        options: RunOptions,
        *,
        gate: Callable[[], bool],
        born: Callable[[int], object],
        passed: Callable[[bool], object],
        **others: Any,
    ) -> None:
        super().__init__(options, orphans_tear_down=True, **others)
        self._gate = gate
        self._born = born
        self._passed = passed
        self._preparing = False
        # The kernel ends a child with the thread that started it, and an engine's threads come and go.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="curator-starter")

    def start(self, worker: int, shape: WorkerShape, gpus: Sequence[str]) -> None:
        """Start a process."""
        self._starter.submit(super().start, worker, shape, gpus).result()
        self._born(self._workers[worker].process.pid)

    def send(self, worker: int, command: Command) -> None:
        """Give a process its next command."""
        if isinstance(command, OpenSegment) and command.prepare_node:
            self._preparing = self._gate()
            command = replace(command, prepare_node=self._preparing)
        super().send(worker, command)

    def collect(self) -> list[Event]:
        """Read what processes have to say."""
        events = super().collect()
        if self._preparing:
            for event in events:
                if isinstance(event, (Opened, WorkerVanished)):
                    self._preparing = False
                    self._passed(isinstance(event, Opened) and event.error is None)
        return events

    def close(self, grace_s: float) -> list[str]:
        """Let the process tear down."""
        problems = super().close(grace_s)
        self._starter.shutdown()
        return problems
