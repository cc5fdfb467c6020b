"""Counts of one stage, which add up: over bundles, workers and nodes, in any order."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["StageCounts"]


def _no_counts() -> dict[str, int]:
    return {}


@dataclass(slots=True)
class StageCounts:
    """What one stage did.

    Attributes:
        tasks_in: Tasks that came in.
        tasks_kept: Those that became at least one task.
        tasks_failed: Those that were given up.
        tasks_dropped: Those that became nothing, by reason.
        tasks_out: Tasks that went on to the next stage.
        children_failed: Tasks that a stage made and marked as failed at once.
        sources_left_out: Sources that it made and that went no further: finished before, or another shard's.
        items_in: Items (documents, images, ...) in the tasks that came in.
        items_out: Items in the tasks that went on.
        items_dropped: Items that the stage left out of its outputs, by reason, as far as it says so.
        calls: Calls of user code that returned.
        retries: Attempts after the first.
        seconds: Time inside user code.
        setup_seconds: Time inside `setup` and `setup_on_node`.
    """

    tasks_in: int = 0
    tasks_kept: int = 0
    tasks_failed: int = 0
    tasks_dropped: dict[str, int] = field(default_factory=_no_counts)
    tasks_out: int = 0
    children_failed: int = 0
    sources_left_out: int = 0
    items_in: int = 0
    items_out: int = 0
    items_dropped: dict[str, int] = field(default_factory=_no_counts)
    calls: int = 0
    retries: int = 0
    seconds: float = 0.0
    setup_seconds: float = 0.0

    def add(self, other: StageCounts) -> None:
        """Add `other` to this."""
        self.tasks_in += other.tasks_in
        self.tasks_kept += other.tasks_kept
        self.tasks_failed += other.tasks_failed
        self.tasks_out += other.tasks_out
        self.children_failed += other.children_failed
        self.sources_left_out += other.sources_left_out
        self.items_in += other.items_in
        self.items_out += other.items_out
        self.calls += other.calls
        self.retries += other.retries
        self.seconds += other.seconds
        self.setup_seconds += other.setup_seconds
        for mine, theirs in (
            (self.tasks_dropped, other.tasks_dropped),
            (self.items_dropped, other.items_dropped),
        ):
            for reason, count in theirs.items():
                mine[reason] = mine.get(reason, 0) + count

    def take_back(self, other: StageCounts) -> None:
        """Subtract `other` from this: what it counted will be done, and counted, again. Time was spent all the same."""
        self.tasks_in -= other.tasks_in
        self.tasks_kept -= other.tasks_kept
        self.tasks_failed -= other.tasks_failed
        self.tasks_out -= other.tasks_out
        self.children_failed -= other.children_failed
        self.sources_left_out -= other.sources_left_out
        self.items_in -= other.items_in
        self.items_out -= other.items_out
        for mine, theirs in (
            (self.tasks_dropped, other.tasks_dropped),
            (self.items_dropped, other.items_dropped),
        ):
            for reason, count in theirs.items():
                mine[reason] = mine.get(reason, 0) - count
                if not mine[reason]:
                    del mine[reason]

    def drop(self, reason: str, count: int = 1) -> None:
        """Count tasks that became nothing."""
        self.tasks_dropped[reason] = self.tasks_dropped.get(reason, 0) + count

    @property
    def dropped(self) -> int:
        """Tasks that became nothing, for whatever reason."""
        return sum(self.tasks_dropped.values())

    @property
    def balanced(self) -> bool:
        """Whether every task that came in has an outcome."""
        return self.tasks_in == self.tasks_kept + self.dropped + self.tasks_failed
