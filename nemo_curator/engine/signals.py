"""Ctrl-C and SIGTERM while a run is under way: they end it where nothing is torn, and nowhere else."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Interrupts", "Terminated"]

_PATIENCE = 3


_EXIT_CODE = 128 + signal.SIGTERM


class Terminated(BaseException):
    """SIGTERM came. No `SystemExit` as long as it is inside: user code that exits costs its task, this ends the run."""


class Interrupts:
    """A context that a run lives in. Signals raise only inside of `allowed`; elsewhere they wait for it.

    It stands in for the default handlers of SIGINT and SIGTERM, and only in the main thread; handlers of the user's own stay as
    they are. What leaves the context for a SIGTERM is `SystemExit(143)`, as a shell would say it. Once a signal has been raised the run is cleaning up, and further ones wait; but who asks for the third time is
    obeyed at once.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._pending: type[BaseException] | None = None
        self._raised = False
        self._asked = 0
        self._previous: dict[signal.Signals, Any] = {}
        self._allowed = _Allowed(self)

    def __enter__(self) -> Self:
        self._stand_in()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._step_aside()
        pending, self._pending = self._pending, None
        if kind is Terminated or (kind is None and pending is Terminated):
            raise SystemExit(_EXIT_CODE) from None
        if kind is None and pending is not None:
            raise pending

    @contextmanager
    def outside(self) -> Generator[None]:
        """Give the handlers back for a while: somebody else's code runs, who knows nothing of this context."""
        self._step_aside()
        try:
            yield
        finally:
            self._stand_in()

    def _stand_in(self) -> None:
        # A generator may be closed by whichever thread drops it; only the main one may touch handlers.
        if threading.current_thread() is not threading.main_thread():
            return
        defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        for number, default in defaults.items():
            if signal.getsignal(number) is default:
                self._previous[number] = default
                signal.signal(number, self._on_signal)

    def _step_aside(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._previous.items():
                signal.signal(number, handler)
            self._previous.clear()

    def allowed(self) -> _Allowed:
        """Return a context in which a signal raises at once, `KeyboardInterrupt` or `Terminated`; one that waits raises on entry."""
        return self._allowed

    def enter_allowed(self) -> None:
        """Begin to let signals through. First the door is opened, then it is looked who waits: nobody slips in between."""
        self._depth += 1
        if self._pending is not None and not self._raised:
            self._depth -= 1
            self._raise(self._pending)

    def leave_allowed(self) -> None:
        """End what `enter_allowed` began."""
        self._depth -= 1

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        kind = KeyboardInterrupt if number == signal.SIGINT else Terminated
        self._asked += 1
        if (self._depth and not self._raised) or self._asked >= _PATIENCE:
            self._raise(kind)
        self._pending = kind

    def _raise(self, kind: type[BaseException]) -> None:
        self._raised = True
        self._pending = None
        raise kind


class _Allowed:
    """The context that `Interrupts.allowed` gives; one object for all, as it is entered many times a second."""

    __slots__ = ("_interrupts",)

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts

    def __enter__(self) -> None:
        self._interrupts.enter_allowed()

    def __exit__(self, *error: object) -> None:
        self._interrupts.leave_allowed()
