"""Observers: they are told what happens, and cannot break a run."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from nemo_curator.engine.plan import ExecutionPlan
from nemo_curator.engine.report import RunReport

__all__ = ["Advanced", "Observer", "Observers", "RunEnded", "RunEvent", "RunStarted", "Stalled"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins: the plan is checked, no worker has started yet."""

    plan: ExecutionPlan
    backend: str


@dataclass(frozen=True, slots=True)
class Advanced:
    """A bundle came back. Sent often: an observer decides itself what it shows.

    Attributes:
        report: Counts so far. It goes on changing; read it, do not keep it.
        queued: Tasks that wait in front of each segment.
    """

    report: RunReport
    queued: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run is over, well or badly."""

    report: RunReport
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Stalled:
    """Nothing has moved for a long time.

    Attributes:
        text: What waits for what, in several lines.
    """

    text: str


RunEvent = RunStarted | Advanced | Stalled | RunEnded


class Observer(Protocol):
    """Is told about a run, in the driver, in the thread that runs it."""

    def on(self, event: RunEvent) -> None:
        """Take note of an event. Must be quick; what it raises is logged, and it is told nothing more."""
        ...


class Observers:
    """Passes events on; an observer that raises is logged once and left out from then on."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = list(observers)

    def tell(self, event: RunEvent) -> None:
        """Pass an event to every observer."""
        for observer in list(self._observers):
            try:
                observer.on(event)
            except Exception:
                self._observers.remove(observer)
                _log.exception("observer %r failed and is told nothing more", observer)
