"""Which sources are finished, told by the claims of what left the pipeline. Pure: no clock, no I/O."""

from __future__ import annotations

from nemo_curator.engine.claims import Claims, is_whole

__all__ = ["Ledger"]


class _Open:
    """A source that is under way."""

    __slots__ = ("failed", "seen", "total")

    def __init__(self) -> None:
        self.total = 0
        self.failed = False
        self.seen: dict[str, tuple[int, bool]] = {}


class Ledger:
    """Adds up claims by source. What is delivered again while its source is under way counts once; memory is that of sources under way.

    Attributes:
        completed: Sources that came to their end without a failure.
        failed: Sources that came to their end with one.
        conflicts: Ids that came twice with different claims or outcomes. There must be none.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self.completed = 0
        self.failed = 0
        self.conflicts: list[str] = []

    def see(self, task_id: str, claims: Claims, *, failed: bool = False) -> list[str]:
        """Note that a task left the pipeline; return the sources that are finished with it, none of whose tasks failed."""
        finished: list[str] = []
        for source, share in claims:
            # Nearly all sources of nearly all pipelines have one descendant: it never enters the table.
            if is_whole(share) and source not in self._open:
                self._close(source, failed=failed, finished=finished)
                continue
            entry = self._open.setdefault(source, _Open())
            before = entry.seen.get(task_id)
            if before is not None:
                # The same again is a re-delivery; something else under the same id means that shares cannot be trusted.
                if before != (share, failed):
                    self.conflicts.append(task_id)
                continue
            entry.seen[task_id] = (share, failed)
            entry.total += share
            entry.failed |= failed
            if is_whole(entry.total):
                del self._open[source]
                self._close(source, failed=entry.failed, finished=finished)
        return finished

    def _close(self, source: str, *, failed: bool, finished: list[str]) -> None:
        if failed:
            self.failed += 1
        else:
            self.completed += 1
            finished.append(source)

    def under_way(self) -> list[str]:
        """Return the sources of which something was seen, but not all."""
        return list(self._open)
