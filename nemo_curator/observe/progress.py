"""Live progress in a terminal: a line a stage; in a log, a line now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from nemo_curator.engine.hooks import Advanced, RunEnded, RunEvent, RunStarted
from nemo_curator.engine.plan import ExecutionPlan

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

__all__ = ["ProgressBars"]

_FRAMES_PER_SECOND = 8
_SECONDS_BETWEEN_LINES = 10.0


class ProgressBars:
    """An observer that shows what every stage has done so far.

    On a terminal a table is redrawn in place; elsewhere a line is printed at most every ten seconds.

    Args:
        console: Where to show it; the standard error stream when not given.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._live: Live | None = None
        self._plan: ExecutionPlan | None = None
        self._last = self._start = time.monotonic()

    def on(self, event: RunEvent) -> None:
        """Show an event, unless the last one was shown a moment ago."""
        if isinstance(event, RunStarted):
            self._begin(event)
        elif isinstance(event, Advanced):
            self._advance(event)
        elif isinstance(event, RunEnded):
            self._end(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def _begin(self, event: RunStarted) -> None:
        self._plan = event.plan
        self._start = time.monotonic()
        self._last = self._start if not self._console.is_terminal else 0.0
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(console=self._console, refresh_per_second=_FRAMES_PER_SECOND, transient=True)
            self._live.start()

    def _advance(self, event: Advanced) -> None:
        now = time.monotonic()
        if now - self._last < (1 / _FRAMES_PER_SECOND if self._live else _SECONDS_BETWEEN_LINES):
            return
        self._last = now
        if self._live is not None:
            self._live.update(self._table(event))
        else:
            done = ", ".join(f"{stage.name} {stage.counts.tasks_in}" for stage in event.report.stages)
            self._console.print(f"{now - self._start:.0f} s: {done}", highlight=False)

    def _end(self, event: RunEnded) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if event.error is not None:
            self._console.print(f"pipeline {event.report.pipeline!r} failed after {event.report.seconds:.1f} s")

    def _table(self, event: Advanced) -> Table:
        from rich.table import Table

        table = Table(
            box=None, pad_edge=False, title=f"{event.report.pipeline} on {event.report.backend}", title_justify="left"
        )
        for heading in ("stage", "waiting", "tasks in", "tasks out", "items out", "dropped", "failed"):
            table.add_column(heading, justify="left" if heading == "stage" else "right")
        waiting = self._waiting(event)
        for stage in event.report.stages:
            counts = stage.counts
            dropped = counts.dropped + sum(counts.items_dropped.values())
            cells = (
                waiting.get(stage.name),
                counts.tasks_in,
                counts.tasks_out,
                counts.items_out,
                dropped,
                counts.tasks_failed,
            )
            table.add_row(stage.name, *["" if cell is None else f"{cell:,}" for cell in cells])
        return table

    def _waiting(self, event: Advanced) -> dict[str, int]:
        """Return how many tasks wait in front of the first stage of each segment."""
        segments = self._plan.segments if self._plan else ()
        return {segment.stages[0].name: count for segment, count in zip(segments, event.queued, strict=False)}
