"""`StageRunner`: one stage in one worker, and the only place that calls user code."""

# Metadata and records of a task are the engine's to write; their names are part of the public contract.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nemo_curator.engine.claims import ONE, Claims, Split, merge
from nemo_curator.engine.envelope import Envelope, Outcome, Receipt
from nemo_curator.engine.failure import Failure
from nemo_curator.engine.ids import Slots, child_id, group_id
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.outputs import (
    Live,
    adopt,
    agreed_metadata,
    as_children,
    as_results,
    is_plain,
    live_children,
    one_ahead,
    why_none,
)
from nemo_curator.engine.packing import FRAME_BYTES, FRAME_COUNT, task_nbytes
from nemo_curator.engine.plan import PlannedStage
from nemo_curator.engine.retry import Retry, RetryPolicy
from nemo_curator.errors import DataError
from nemo_curator.stages.base import ProcessingStage, Topology
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import FailedTask, Task
from nemo_curator.utils.performance_utils import StagePerfStats
from nemo_curator.utils.sizing import estimate_nbytes

__all__ = ["StageRunner"]

_MIB = 1024**2
_CHUNK_SECONDS = 0.05

# What a stage may raise that is its task's failure. Not KeyboardInterrupt: that one is for the whole run.
_USER_ERRORS = (Exception, SystemExit)


class _GaveUpError(Exception):
    """Every attempt failed; the cause is the last error."""

    def __init__(self, error: BaseException, attempts: int) -> None:
        super().__init__(error, attempts)
        self.error, self.attempts = error, attempts


@dataclass(slots=True)
class _Family:
    """What the children of one task, or of a group, have in common.

    Attributes:
        id: Under which they are numbered.
        parent: The task that they were made of; `None` for a group.
        inherited: Metadata that they get where they set none themselves.
        earlier: Records of the stages before.
        slots: Names their slots.
        split: Divides the claims among them.
    """

    id: str
    parent: Task[Any] | None
    inherited: dict[str, Any]
    earlier: list[StagePerfStats]
    slots: Slots
    split: Split


class StageRunner:
    """Runs one stage for one worker: `open`, then `run` any number of times, then `close`.

    After a `run`, `take` gives what was counted and the receipts of tasks that left early.

    Args:
        planned: The stage. The runner uses its object as it is, so every worker brings its own copy.
        retry: Decides about further attempts.
        worker_id: Part of the ids of calls.
        sleep: Waits between attempts.
    """

    def __init__(
        self,
        planned: PlannedStage,
        retry: RetryPolicy,
        *,
        worker_id: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._planned = planned
        self._stage = planned.stage
        self._retry = retry
        self._sleep = sleep
        self._batched = self._stage.supports_batch_processing() or planned.topology is Topology.BARRIER
        self._checks = _wants_checks(self._stage)
        self._call_prefix = f"{worker_id}.{planned.index}."
        self._calls = 0
        self._last_end: float | None = None
        self._entered = False
        self.counts = StageCounts()
        self.receipts: list[Receipt] = []

    def open(self, worker: WorkerMetadata, node: NodeInfo | None = None) -> None:
        """Call `setup`; before it `setup_on_node` if `node` is given, which is so for the node's first worker."""
        start = time.perf_counter()
        if node is not None:
            self._stage.setup_on_node(node, worker)
        self._entered = True
        self._stage.setup(worker)
        self.counts.setup_seconds += time.perf_counter() - start

    def close(self) -> None:
        """Call `teardown` if `setup` was entered. Raises what it raises."""
        if self._entered:
            self._entered = False
            self._stage.teardown()

    def take(self) -> tuple[StageCounts, list[Receipt]]:
        """Return what was counted and who left early since the last `take`."""
        taken = self.counts, self.receipts
        self.counts, self.receipts = StageCounts(), []
        return taken

    def run(self, envelopes: Sequence[Envelope]) -> list[Envelope] | Iterator[list[Envelope]]:
        """Run the stage on envelopes; for a stage that works on batches they are one batch.

        Returns:
            What goes on to the next stage. An iterator over parts of it where user code returned an iterator, which is
            consumed as the caller asks for more.
        """
        self.counts.tasks_in += len(envelopes)
        if self._batched:
            return self._run_batch(self._valid(envelopes))
        return self._run_each(envelopes, 0)

    # One task at a time

    def _run_each(self, envelopes: Sequence[Envelope], position: int) -> list[Envelope] | Iterator[list[Envelope]]:
        out: list[Envelope] = []
        process = self._stage.process
        while position < len(envelopes):
            envelope = envelopes[position]
            position += 1
            if self._checks and not self._valid([envelope]):
                continue
            try:
                result, stats = self._call(process, envelope.task, envelope.task.num_items, envelope.task.data)
                if is_plain(result):
                    out.append(self._only_child(envelope, result, stats))
                    continue
                children = as_children(result)
                if isinstance(children, list):
                    out += self._settle(envelope, children, stats)
                    continue
            except _GaveUpError as gave_up:
                self._fail(envelope, gave_up.error, gave_up.attempts)
                continue
            except _USER_ERRORS as error:
                self._fail(envelope, error, attempts=1)
                continue
            return self._go_on_lazily(envelope, children, stats, envelopes, position, out)
        return out

    def _only_child(self, parent: Envelope, child: Task[Any], stats: StagePerfStats) -> Envelope:
        """Return the envelope of a task's one child. By far the most frequent case, so it takes the short way."""
        task = parent.task
        slot = child.get_deterministic_id() if self._planned.is_source else None
        identity = f"{parent.id}_{0 if slot is None else slot}"
        claims = ((identity, ONE),) if self._planned.is_source else parent.claims
        items = child.num_items
        if child is task and child.task_id == parent.id:
            child.task_id = identity
            child._stage_perf.append(stats)
        else:
            earlier = task._stage_perf
            child = adopt(child, identity, parent.id, task, task._metadata)
            child._stage_perf = [*earlier, stats]
        if claims:
            child._source_id = claims[0][0]
        counts = self.counts
        counts.tasks_kept += 1
        counts.tasks_out += 1
        counts.items_out += items
        return Envelope(identity, child, claims)

    def _go_on_lazily(
        self,
        parent: Envelope,
        children: Iterator[object],
        stats: StagePerfStats,
        envelopes: Sequence[Envelope],
        position: int,
        out: list[Envelope],
    ) -> Iterator[list[Envelope]]:
        if out:
            yield out
        yield from self._consume(parent, children, stats)
        rest = self._run_each(envelopes, position)
        if isinstance(rest, list):
            yield rest
        else:
            yield from rest

    def _consume(self, parent: Envelope, children: Iterator[object], stats: StagePerfStats) -> Iterator[list[Envelope]]:
        """Yield an iterator's children in parts, each as soon as it is worth sending."""
        family = self._family(parent)
        out: list[Envelope] = []
        made = nbytes = 0
        start = time.perf_counter()
        try:
            for live, last in one_ahead(children):
                made += 1
                for envelope in self._child(family, live, stats, last=last):
                    out.append(envelope)
                    nbytes += task_nbytes(envelope)
                if len(out) >= FRAME_COUNT or nbytes >= FRAME_BYTES or time.perf_counter() - start >= _CHUNK_SECONDS:
                    self._measure(stats, start)
                    yield out
                    out, nbytes, stats = [], 0, self._stats(0, 0)
                    start = time.perf_counter()
        except _USER_ERRORS as error:
            # What was made stays; what was still to come has failed, and the source with it.
            self._fail(Envelope(parent.id, parent.task, family.split.rest()), error, attempts=1)
        else:
            if made:
                self.counts.tasks_kept += 1
            else:
                self._drop(parent, "empty")
        self._measure(stats, start)
        yield out

    def _settle(self, parent: Envelope, children: list[object], stats: StagePerfStats) -> list[Envelope]:
        """Return the envelopes of one task's children, and count what became of the task."""
        live = live_children(children)
        if not live:
            self._drop(parent, why_none(children))
            return []
        if len(live) == 1 and isinstance(live[0][1], FailedTask):
            self._fail_on_purpose(parent.id, parent.claims, live[0][1])
            self.counts.tasks_failed += 1
            return []
        envelopes = self._children(self._family(parent), live, stats)
        self.counts.tasks_kept += 1
        return envelopes

    # A batch at a time

    def _run_batch(self, batch: list[Envelope]) -> list[Envelope]:
        if not batch:
            return []
        tasks = [envelope.task for envelope in batch]
        try:
            result, stats = self._call(
                self._stage.process_batch, tasks, sum(task.num_items for task in tasks), [task.data for task in tasks]
            )
            return self._settle_batch(batch, as_results(result, len(batch)), stats)
        except _GaveUpError as gave_up:
            error, attempts = gave_up.error, gave_up.attempts
        except _USER_ERRORS as raised:
            error, attempts = raised, 1
        if len(batch) == 1 or self._planned.topology is Topology.BARRIER:
            for envelope in batch:
                self._fail(envelope, error, attempts)
            return []
        # One of them is guilty, the others are not: halves find out which.
        half = len(batch) // 2
        return self._run_batch(batch[:half]) + self._run_batch(batch[half:])

    def _settle_batch(self, batch: list[Envelope], results: list[object], stats: StagePerfStats) -> list[Envelope]:
        if len(results) == len(batch):
            children = [as_children(result) for result in results]
            pairs = zip(batch, children, strict=True)
            return [child for parent, made in pairs for child in self._settle(parent, list(made), stats)]
        if len(batch) == 1:
            return self._settle(batch[0], results, stats)
        return self._settle_group(batch, results, stats)

    def _settle_group(self, batch: list[Envelope], results: list[object], stats: StagePerfStats) -> list[Envelope]:
        live = live_children(results)
        if not live:
            for parent in batch:
                self._drop(parent, why_none(results))
            return []
        family = _Family(
            id=group_id(envelope.id for envelope in batch),
            parent=None,
            inherited=agreed_metadata([envelope.task for envelope in batch]),
            earlier=[record for envelope in batch for record in envelope.task._stage_perf],
            slots=Slots(by_content=self._planned.is_source),
            split=Split(merge([envelope.claims for envelope in batch])),
        )
        envelopes = self._children(family, live, stats)
        self.counts.tasks_kept += len(batch)
        return envelopes

    # Children

    def _family(self, parent: Envelope) -> _Family:
        task = parent.task
        slots = Slots(by_content=self._planned.is_source)
        return _Family(parent.id, task, dict(task._metadata), list(task._stage_perf), slots, Split(parent.claims))

    def _children(self, family: _Family, live: list[Live], stats: StagePerfStats) -> list[Envelope]:
        last = len(live) - 1
        return [
            envelope
            for position, child in enumerate(live)
            for envelope in self._child(family, child, stats, last=position == last)
        ]

    def _child(self, family: _Family, live: Live, stats: StagePerfStats, *, last: bool) -> tuple[Envelope, ...]:
        """Return the envelope of a child; none for one that the stage marked as failed."""
        slot, child = live
        identity = child_id(family.id, family.slots.name(child, slot))
        claims: Claims = family.split.rest() if last else family.split.take()
        if self._planned.is_source:
            claims = ((identity, ONE),)
        if isinstance(child, FailedTask):
            self.counts.children_failed += 1
            self._fail_on_purpose(identity, claims, child)
            return ()
        task = adopt(child, identity, family.id, family.parent, family.inherited)
        task._stage_perf = [*family.earlier, stats]
        if family.parent is None:
            # The records of a group's members travel with its first output; once is enough for every sum.
            family.earlier = []
        if claims:
            task._source_id = claims[0][0]
        self.counts.tasks_out += 1
        self.counts.items_out += task.num_items
        return (Envelope(identity, task, claims),)

    # Calls, counts and receipts

    def _call(
        self,
        function: Callable[[Any], object],
        argument: object,
        items: int,
        payload: object,
    ) -> tuple[object, StagePerfStats]:
        """Call user code, again if the policy says so; return what it returned and the call's record.

        Raises:
            _GaveUpError: Every attempt failed.
        """
        attempt = 1
        nbytes = estimate_nbytes(payload)
        while True:
            start = time.perf_counter()
            try:
                result = function(argument)
            except _USER_ERRORS as error:
                self.counts.seconds += time.perf_counter() - start
                decision = self._retry.decide(error, attempt)
                self._consume_notes(None)
                if not isinstance(decision, Retry):
                    raise _GaveUpError(error, attempt) from error
                self.counts.retries += 1
                self._sleep(decision.after_s)
                attempt += 1
                continue
            stats = self._stats(items, nbytes)
            if self._last_end is not None:
                stats.actor_idle_time = start - self._last_end
            self.counts.calls += 1
            self.counts.items_in += items
            self._measure(stats, start)
            return result, stats

    def _stats(self, items: int, nbytes: int) -> StagePerfStats:
        self._calls += 1
        return StagePerfStats(
            self._planned.name,
            num_items_processed=items,
            input_data_size_mb=nbytes / _MIB,
            call_id=f"{self._call_prefix}{self._calls}",
        )

    def _measure(self, stats: StagePerfStats, start: float) -> None:
        """Add the time since `start`, and what the stage noted meanwhile, to a record."""
        end = time.perf_counter()
        stats.process_time += end - start
        self.counts.seconds += end - start
        self._last_end = end
        if self._stage._has_notes():
            self._consume_notes(stats)

    def _consume_notes(self, stats: StagePerfStats | None) -> None:
        """Take what the stage noted during the call; notes of an attempt that failed are forgotten."""
        metrics = self._stage._consume_custom_metrics()
        drops = self._stage._consume_drops()
        if stats is None:
            return
        stats.custom_metrics.update(metrics)
        for reason, count in drops.items():
            self.counts.items_dropped[reason] = self.counts.items_dropped.get(reason, 0) + count

    def _valid(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Return the envelopes whose tasks have what the stage asks for; the others have failed."""
        if not self._checks:
            return list(envelopes)
        valid: list[Envelope] = []
        for envelope in envelopes:
            try:
                if not self._stage.validate_input(envelope.task):
                    problem = self._stage.explain_invalid(envelope.task) or "its validate_input said no"
                    message = f"stage {self._planned.name!r} cannot take task {envelope.id}: {problem}"
                    raise DataError(message)
            except _USER_ERRORS as error:
                self._fail(envelope, error, attempts=1)
            else:
                valid.append(envelope)
        return valid

    def _drop(self, envelope: Envelope, reason: str) -> None:
        self.counts.drop(reason)
        self.receipts.append(Receipt(envelope.id, envelope.claims, Outcome.DROPPED, self._planned.name, reason))

    def _fail(self, envelope: Envelope, error: BaseException, attempts: int) -> None:
        self.counts.tasks_failed += 1
        planned = self._planned
        failure = Failure.of(
            error, task_id=envelope.id, stage=planned.name, declared_at=planned.declared_at, attempts=attempts
        )
        reason = type(error).__name__
        self.receipts.append(Receipt(envelope.id, envelope.claims, Outcome.FAILED, planned.name, reason, failure))

    def _fail_on_purpose(self, identity: str, claims: Claims, sentinel: FailedTask) -> None:
        planned = self._planned
        failure = Failure(identity, planned.name, planned.declared_at, 1, sentinel.reason, frame="", details="")
        self.receipts.append(Receipt(identity, claims, Outcome.FAILED, planned.name, "FailedTask", failure))


def _wants_checks(stage: ProcessingStage[Any, Any]) -> bool:
    """Say whether the stage looks at its input: it asks for something, or checks in its own way."""
    for method in ("validate_input", "input_spec_for_task"):
        if getattr(type(stage), method) is not getattr(ProcessingStage, method):
            return True
    return stage.inputs() != ([], [])
