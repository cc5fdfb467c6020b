"""What a stage did and how long it took, one record per call of user code."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

__all__ = ["StagePerfStats", "StageTimer"]


@dataclass(slots=True)
class StagePerfStats:
    """One call of one stage.

    Attributes:
        stage_name: Name of the stage, unique in its pipeline.
        process_time: Seconds inside user code.
        actor_idle_time: Seconds since the same worker's previous call of the same stage ended; 0 for the first.
        input_data_size_mb: Size of the input's payload in MiB, estimated without copying.
        num_items_processed: Items (documents, images, ...) in the input.
        custom_metrics: What the stage logged itself, by name.
        call_id: Identifies the call, so that records which travelled in several tasks are counted once. `None` for records
            made by hand.
    """

    stage_name: str
    process_time: float = 0.0
    actor_idle_time: float = 0.0
    input_data_size_mb: float = 0.0
    num_items_processed: int = 0
    custom_metrics: dict[str, float] = field(default_factory=dict)
    call_id: tuple[str, int] | None = field(default=None, compare=False, repr=False)

    def __add__(self, other: StagePerfStats) -> StagePerfStats:
        """Sum of two records, key by key for custom metrics; the left one's name is kept."""
        custom = dict(self.custom_metrics)
        for key, value in other.custom_metrics.items():
            custom[key] = custom.get(key, 0.0) + value
        return StagePerfStats(
            stage_name=self.stage_name,
            process_time=self.process_time + other.process_time,
            actor_idle_time=self.actor_idle_time + other.actor_idle_time,
            input_data_size_mb=self.input_data_size_mb + other.input_data_size_mb,
            num_items_processed=self.num_items_processed + other.num_items_processed,
            custom_metrics=custom,
        )

    def __radd__(self, other: object) -> StagePerfStats:
        """``0 + record`` is the record, so that ``sum()`` works."""
        if other == 0:
            return self
        message = f"cannot add {type(other).__name__} and StagePerfStats"
        raise TypeError(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            StagePerfStats,
            (
                self.stage_name,
                self.process_time,
                self.actor_idle_time,
                self.input_data_size_mb,
                self.num_items_processed,
                self.custom_metrics,
                self.call_id,
            ),
        )

    def reset(self) -> None:
        """Set every number to zero and forget the custom metrics; the name stays."""
        self.process_time = self.actor_idle_time = self.input_data_size_mb = 0.0
        self.num_items_processed = 0
        self.custom_metrics = {}

    def to_dict(self) -> dict[str, Any]:
        """Return the public fields as a dictionary."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "call_id"}

    def items(self) -> list[tuple[str, float]]:
        """Return ``(metric, value)`` pairs without the stage name; custom metrics as ``custom.<name>``."""
        own = self.to_dict()
        own.pop("stage_name")
        custom = own.pop("custom_metrics")
        return [*own.items(), *((f"custom.{name}", value) for name, value in custom.items())]


class _Named(Protocol):
    """Anything with a name, such as a stage."""

    name: str


class StageTimer:
    """Measures the calls of one stage in one worker.

    Not used by the engine, which measures in its runner; kept for code that drives a stage itself.
    """

    def __init__(self, stage: _Named) -> None:
        self._stage_name = str(stage.name)
        self._last_end: float | None = None
        self._idle = 0.0
        self.reinit()

    def reinit(self, size: int = 1) -> None:
        """Start a new measurement over `size` items."""
        now = time.perf_counter()
        self._idle = 0.0 if self._last_end is None else now - self._last_end
        self._start = now
        self._items = 0
        self._size = size

    @contextmanager
    def time_process(self, num_items: int = 1) -> Generator[None]:
        """Count `num_items` as processed by the code inside."""
        yield
        self._items += num_items

    def log_stats(self, *, verbose: bool = False) -> tuple[str, StagePerfStats]:
        """End the measurement; return the stage's name and its record."""
        self._last_end = time.perf_counter()
        stats = StagePerfStats(
            stage_name=self._stage_name,
            process_time=self._last_end - self._start,
            actor_idle_time=self._idle,
            num_items_processed=self._items or self._size,
        )
        if verbose:
            import logging

            logging.getLogger(__name__).info("%s: %s", self._stage_name, stats.to_dict())
        return self._stage_name, stats
