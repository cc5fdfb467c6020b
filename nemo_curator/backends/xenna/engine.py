"""Xenna under way, in a thread: parcels go in through one queue and come out through another."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import Any, cast

from cosmos_xenna.pipelines import v1 as xenna

from nemo_curator.backends.cluster.connection import named
from nemo_curator.engine.parcel import Parcel
from nemo_curator.errors import EngineLost

__all__ = ["BatchEngine", "StreamingEngine"]

_SINK = 64


def _entered(address: str) -> contextlib.AbstractContextManager[None]:
    # Xenna sets variables of its own too; both go when the engine stops.
    context = named(address)
    context.__enter__()
    return context


class _Xenna(threading.Thread):
    """Runs a pipeline; what it raised, or returned, is there when it has ended."""

    def __init__(self, spec: Any, news: threading.Event) -> None:
        super().__init__(name="curator-xenna", daemon=True)
        self._spec = spec
        self._news = news
        self.error: BaseException | None = None
        self.outputs: list[Parcel] = []

    def run(self) -> None:
        try:
            self.outputs = xenna.run_pipeline(self._spec) or []
        except BaseException as error:  # the driver's thread tells it
            self.error = error
        self._news.set()

    def check(self) -> None:
        """Raise what Xenna has raised, in words.

        Raises:
            EngineLost: It has failed on its way.
        """
        if self.error is None:
            return
        said = f"{type(self.error).__name__}: {' '.join(str(self.error).split())[:600]}"
        message = f"Xenna has given up: {said}"
        raise EngineLost(message) from self.error


class _Source:
    """What Xenna takes its input from while it streams; it asks a hundred times a second, and stops when it gets `None`."""

    def __init__(self) -> None:
        self._parcels: queue.SimpleQueue[Parcel] = queue.SimpleQueue()
        self.over = False

    def put(self, parcel: Parcel) -> None:
        self._parcels.put(parcel)

    def get(self, block: bool = True, timeout: float | None = None) -> Parcel | None:
        if self.over:
            return None
        return self._parcels.get(block, timeout)


class _Sink:
    """What Xenna puts its output into; full, it holds Xenna back."""

    def __init__(self, news: threading.Event) -> None:
        self._parcels: queue.Queue[Parcel] = queue.Queue(_SINK)
        self._news = news
        self.over = False

    def put(self, parcel: Parcel, block: bool = True, timeout: float | None = None) -> None:
        while not self.over:
            with contextlib.suppress(queue.Full):
                self._parcels.put(parcel, timeout=0.1)
                self._news.set()
                return

    def drain(self) -> list[Parcel]:
        parcels: list[Parcel] = []
        with contextlib.suppress(queue.Empty):
            while True:
                parcels.append(self._parcels.get_nowait())
        return parcels


class StreamingEngine:
    """Xenna, all segments at the same time. Its serving mode is the streaming mode with queues at both ends.

    Args:
        stages: Its stage specs.
        config: Its configuration.
        address: The cluster.
    """

    def __init__(self, stages: list[Any], config: Any, address: str) -> None:
        self._news = threading.Event()
        self._source, self._sink = _Source(), _Sink(self._news)
        config.execution_mode = xenna.ExecutionMode.SERVING
        # Xenna asks for queues of processes, and uses nothing of them but `get` and `put`.
        queues = xenna.ServingQueues(cast("Any", self._source), cast("Any", self._sink))
        self._kept = _entered(address)
        self._xenna = _Xenna(xenna.PipelineSpec([], stages, config, serving_queues=queues), self._news)
        self._xenna.start()

    def feed(self, parcel: Parcel | None) -> None:
        """Take a parcel."""
        if parcel is not None:
            self._source.put(parcel)

    def wait(self, timeout_s: float) -> list[Parcel]:
        """Return what has come out."""
        self._news.wait(timeout_s)
        self._news.clear()
        parcels = self._sink.drain()
        if not parcels:
            self._xenna.check()
        return parcels

    def stop(self, timeout_s: float) -> None:
        """End Xenna."""
        self._source.over = self._sink.over = True
        self._xenna.join(timeout_s)
        self._kept.__exit__(None, None, None)


class BatchEngine:
    """Xenna, one segment after the other; it begins when all of the input is there.

    Args:
        stages: Its stage specs.
        config: Its configuration.
        address: The cluster.
        steward: The run's steward, which has to know how much there is.
    """

    def __init__(self, stages: list[Any], config: Any, address: str, steward: Any) -> None:
        self._stages, self._config, self._address, self._steward = stages, config, address, steward
        self._input: list[Parcel] = []
        self._news = threading.Event()
        self._xenna: _Xenna | None = None

    def feed(self, parcel: Parcel | None) -> None:
        """Take a parcel; with the last one Xenna begins."""
        if parcel is not None:
            self._input.append(parcel)
            return
        self._steward.expect.remote(len(self._input)).future().result()
        self._config.execution_mode = xenna.ExecutionMode.BATCH
        self._config.return_last_stage_outputs = True
        self._kept = _entered(self._address)
        self._xenna = _Xenna(xenna.PipelineSpec(self._input, self._stages, self._config), self._news)
        self._xenna.start()

    def wait(self, timeout_s: float) -> list[Parcel]:
        """Return what has come out, all at once."""
        if self._xenna is None or not self._news.wait(timeout_s):
            return []
        self._xenna.check()
        outputs, self._xenna.outputs = self._xenna.outputs, []
        if not outputs:
            time.sleep(timeout_s)
        return outputs

    def stop(self, timeout_s: float) -> None:
        """Wait for Xenna's end; in the middle of a run there is no way to end it but through its workers."""
        if self._xenna is not None:
            self._xenna.join(timeout_s)
            self._kept.__exit__(None, None, None)
