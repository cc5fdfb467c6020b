"""What a stage notes about a call: numbers of its own, items that it left out, files that it wrote. The engine takes it after every call."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemo_curator.utils.output_manifest import RunOutput, WrittenFile

__all__ = ["StageNotes"]

_log = logging.getLogger(__name__)


class StageNotes:
    """The part of a stage that takes notes. They are kept beside the stage's own attributes, so no constructor is needed."""

    name: str

    def record_drops(self, reason: str, count: int) -> None:
        """Count items (documents, images) that this call left out of its output, and why. For the report."""
        if count > 0:
            drops: dict[str, int] = vars(self).setdefault("_drops", {})
            drops[reason] = drops.get(reason, 0) + count

    def _consume_drops(self) -> dict[str, int]:
        drops: dict[str, int] | None = vars(self).pop("_drops", None)
        return drops or {}

    def record_written(self, file: WrittenFile) -> None:
        """Note a file that this call has put in place, complete, under its final name. `commit_output` gets it when the run is complete."""
        vars(self).setdefault("_written", []).append(file)

    def commit_output(self, output: RunOutput) -> None:
        """Commit what the stage has written: lay a manifest down, remove what it replaces. The default does nothing.

        Driver side, once, when everything of a run is done and the books balance; again where a run is repeated that was killed here.
        May raise `OutputError`, which fails the run.
        """

    def _consume_written(self) -> list[WrittenFile]:
        written: list[WrittenFile] | None = vars(self).pop("_written", None)
        return written or []

    def _log_metrics(self, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._log_metric(name, value)

    def _log_metric(self, name: str, value: float) -> None:
        if isinstance(value, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance] - user input
            vars(self).setdefault("_custom_metrics", {})[name] = float(value)
        else:
            _log.warning("stage %r: metric %r is not a number but %s; left out", self.name, name, type(value).__name__)

    @contextmanager
    def _time_metric(self, name: str) -> Generator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._log_metric(name, time.perf_counter() - start)

    def _consume_custom_metrics(self) -> dict[str, float]:
        metrics: dict[str, float] | None = vars(self).pop("_custom_metrics", None)
        return metrics or {}

    def _has_notes(self) -> bool:
        """Say whether something was noted that nobody has taken yet. The engine asks after every call."""
        own = vars(self)
        return "_custom_metrics" in own or "_drops" in own or "_written" in own
