"""What a stage did in one worker since somebody last asked: counts, and receipts of tasks that left early."""

from __future__ import annotations

from collections.abc import Sequence

from nemo_curator.engine.claims import Claims
from nemo_curator.engine.envelope import Envelope, Outcome, Receipt
from nemo_curator.engine.failure import Failure
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.plan import PlannedStage
from nemo_curator.tasks import FailedTask

__all__ = ["Tally"]


class Tally:
    """Books of one stage in one worker. Every task that came in gets exactly one of `keep`, `drop` and `fail`.

    Args:
        planned: The stage.
    """

    def __init__(self, planned: PlannedStage) -> None:
        self._planned = planned
        self.counts = StageCounts()
        self.receipts: list[Receipt] = []

    def take(self) -> tuple[StageCounts, list[Receipt]]:
        """Return everything since the last `take`."""
        taken = self.counts, self.receipts
        self.counts, self.receipts = StageCounts(), []
        return taken

    def keep(self, parents: int, children: Sequence[Envelope], items: int) -> None:
        """Count tasks that became something, and what goes on to the next stage."""
        self.counts.tasks_kept += parents
        self.counts.tasks_out += len(children)
        self.counts.items_out += items

    def drop(self, envelope: Envelope, reason: str) -> None:
        """Count a task that became nothing."""
        self.counts.drop(reason)
        self.receipts.append(Receipt(envelope.id, envelope.claims, Outcome.DROPPED, self._planned.name, reason))

    def fail(self, envelope: Envelope, error: BaseException, attempts: int = 1) -> None:
        """Count a task that was given up."""
        self.counts.tasks_failed += 1
        planned = self._planned
        failure = Failure.of(
            error, task_id=envelope.id, stage=planned.name, declared_at=planned.declared_at, attempts=attempts
        )
        reason = type(error).__name__
        self.receipts.append(Receipt(envelope.id, envelope.claims, Outcome.FAILED, planned.name, reason, failure))

    def fail_on_purpose(self, identity: str, claims: Claims, sentinel: FailedTask) -> None:
        """Note a `FailedTask` that the stage returned. Whether a task or one of its children failed, the caller counts."""
        planned = self._planned
        failure = Failure(identity, planned.name, planned.declared_at, 1, sentinel.reason, frame="", details="")
        self.receipts.append(Receipt(identity, claims, Outcome.FAILED, planned.name, "FailedTask", failure))
