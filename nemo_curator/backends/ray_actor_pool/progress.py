"""A line in the log from time to time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from nemo_curator.engine.hooks import Advanced, RunEvent

__all__ = ["LoggedProgress"]

_log = logging.getLogger(__name__)


class LoggedProgress:
    """Logs how far a run is, at most every so many seconds.

    Args:
        interval_s: Seconds between two lines.
        clock: Tells the time.
    """

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._next = clock() + interval_s

    def on(self, event: RunEvent) -> None:
        """Take note of an event."""
        if not isinstance(event, Advanced) or self._clock() < self._next:
            return
        self._next = self._clock() + self._interval_s
        stages = ", ".join(
            f"{stage.name} {stage.counts.tasks_in}->{stage.counts.tasks_out}" for stage in event.report.stages
        )
        _log.info("%s: %s tasks delivered (%s)", event.report.pipeline, event.report.tasks_delivered, stages)
