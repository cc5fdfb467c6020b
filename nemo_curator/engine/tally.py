"""What a stage did in one worker since somebody last asked: counts, and receipts of tasks that left early and of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nemo_curator.engine.claims import Claims, merge
from nemo_curator.engine.envelope import Envelope, Outcome, Receipt
from nemo_curator.engine.failure import Failure
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.plan import PlannedStage
from nemo_curator.engine.quarantine import Quarantine
from nemo_curator.errors import OutputError
from nemo_curator.tasks import FailedTask
from nemo_curator.utils.output_manifest import WrittenFile

__all__ = ["Tally", "kept"]


class Tally:
    """Books of one stage in one worker. Every task that came in gets exactly one of `keep`, `drop` and `fail`.

    Args:
        planned: The stage.
        quarantine: Where tasks are kept that were given up; nowhere when not given.
    """

    def __init__(self, planned: PlannedStage, quarantine: Quarantine | None = None) -> None:
        self._planned = planned
        self._quarantine = quarantine
        self.counts = StageCounts()
        self.receipts: list[Receipt] = []
        self._left_out: list[bytes] = []

    def take(self) -> tuple[StageCounts, list[Receipt]]:
        """Return everything since the last `take`."""
        if self._left_out:
            marks, self._left_out = b"".join(self._left_out), []
            self.receipts.append(Receipt("", (), Outcome.LEFT_OUT, self._planned.name, "finished", marks=marks))
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

    def leave_out(self, mark: bytes | None) -> None:
        """Count a source that goes no further: finished before, and then its mark, or another shard's."""
        self.counts.sources_left_out += 1
        if mark is not None:
            self._left_out.append(mark)

    def wrote(self, members: Sequence[Envelope], file: WrittenFile) -> None:
        """Note a file that was written in a call with these tasks."""
        claims = merge([envelope.claims for envelope in members])
        receipt = Receipt(members[0].id, claims, Outcome.WRITTEN, self._planned.name, "written", written=file)
        self.receipts.append(receipt)

    def fail(
        self,
        envelope: Envelope,
        error: BaseException,
        attempts: int = 1,
        *,
        slots: tuple[int, int | None] | None = None,
    ) -> None:
        """Count a task that was given up.

        Args:
            envelope: The task.
            error: Why.
            attempts: How often it was tried.
            slots: Of a task that became something before it failed, the children that are missing: from, and up to (`None`:
                all that would have followed).
        """
        self.counts.tasks_failed += 1
        planned = self._planned
        failure = Failure.of(
            error, task_id=envelope.id, stage=planned.name, declared_at=planned.declared_at, attempts=attempts
        )
        self._give_up(envelope, envelope.id, envelope.claims, failure, _name_of(error), slots)

    def fail_on_purpose(
        self, parent: Envelope | None, identity: str, claims: Claims, sentinel: FailedTask, slot: int | None = None
    ) -> None:
        """Note a `FailedTask` that the stage returned. Whether a task or one of its children failed, the caller counts.

        Args:
            parent: The task that it was made of; `None` for a group.
            identity: The id of what failed.
            claims: Its claims.
            sentinel: What the stage returned.
            slot: Which of the parent's children it is; `None` if it stands for the parent itself.
        """
        planned = self._planned
        failure = Failure(identity, planned.name, planned.declared_at, 1, sentinel.reason, frame="", details="")
        slots = None if slot is None else (slot, slot + 1)
        envelope = parent or Envelope(identity, sentinel, claims)
        note = "" if parent else "it was made of a group of tasks, which only its sources can make again"
        self._give_up(envelope, identity, claims, failure, "FailedTask", slots, note)

    def _give_up(
        self,
        envelope: Envelope,
        identity: str,
        claims: Claims,
        failure: Failure,
        reason: str,
        slots: tuple[int, int | None] | None,
        note: str = "",
    ) -> None:
        if self._quarantine is not None:
            failure = kept(self._quarantine, envelope, failure, reason, slots, note)
        self.receipts.append(Receipt(identity, claims, Outcome.FAILED, self._planned.name, reason, failure))


def kept(
    quarantine: Quarantine,
    envelope: Envelope,
    failure: Failure,
    reason: str,
    slots: tuple[int, int | None] | None = None,
    note: str = "",
) -> Failure:
    """Put a task that was given up into quarantine; return its failure, which says so if that was not possible."""
    try:
        quarantine.keep(envelope, failure, reason=reason, slots=slots, note=note)
    except OutputError as error:
        # The task is lost to a replay, not to the report.
        return replace(failure, cause=f"{failure.cause} (and it could not be kept in quarantine: {error})")
    return failure


def _name_of(error: BaseException) -> str:
    return type(error).__name__
