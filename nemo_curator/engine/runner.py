"""`StageRunner`: one stage in one worker, and the only place that calls user code."""

# What a stage noted during a call is the engine's to take.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nemo_curator.engine.children import child_of, children_of, count_items, family_of, group_of, only_child_of
from nemo_curator.engine.envelope import Envelope, Receipt
from nemo_curator.engine.failure import one_line, user_traceback
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.outputs import as_children, as_results, is_plain, live_children, one_ahead, why_none
from nemo_curator.engine.packing import FRAME_BYTES, FRAME_COUNT, task_nbytes
from nemo_curator.engine.plan import PlannedStage
from nemo_curator.engine.retry import Retry, RetryPolicy
from nemo_curator.engine.snapshot import remember, restore
from nemo_curator.engine.tally import Tally
from nemo_curator.errors import DataError, SetupFailed, TransientError
from nemo_curator.stages.base import ProcessingStage, Topology
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import FailedTask
from nemo_curator.utils.performance_utils import StagePerfStats
from nemo_curator.utils.sizing import estimate_nbytes

__all__ = ["StageRunner"]

_MIB = 1024**2
_CHUNK_SECONDS = 0.05

# What a stage may raise that is its task's failure. Not KeyboardInterrupt: that one is for the whole run.
_USER_ERRORS = (Exception, SystemExit)


class _GaveUpError(Exception):
    """Every attempt failed; holds the last error."""

    def __init__(self, error: BaseException, attempts: int) -> None:
        super().__init__(error, attempts)
        self.error, self.attempts = error, attempts


class StageRunner:
    """Runs one stage for one worker: `open`, then `run` any number of times, then `close`.

    After a `run`, `take` gives what was counted and the receipts of tasks that left early.

    Args:
        planned: The stage. The runner uses its object as it is, so every worker brings its own copy.
        retry: Decides about further attempts.
        token: Part of the ids of calls; no other worker of any run has the same.
        sleep: Waits between attempts.
    """

    def __init__(
        self,
        planned: PlannedStage,
        retry: RetryPolicy,
        *,
        token: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._planned = planned
        self._stage = planned.stage
        self._is_source = planned.is_source
        self._retry = retry
        self._sleep = sleep
        self._batched = self._stage.supports_batch_processing() or planned.topology is Topology.BARRIER
        self._checks = _wants_checks(self._stage)
        self._call_prefix = f"{token}.{planned.index}"
        self._calls = 0
        self._last_end: float | None = None
        self._entered = False
        self._tally = Tally(planned)

    def open(self, worker: WorkerMetadata, node: NodeInfo | None = None) -> None:
        """Call `setup`; before it `setup_on_node` if `node` is given, which is so for the node's first worker.

        Raises:
            SetupFailed: One of them raised. What was entered is torn down by `close`.
        """
        start = time.perf_counter()
        if node is not None:
            self._prepare("setup_on_node", self._stage.setup_on_node, node, worker)
        self._entered = True
        self._prepare("setup", self._stage.setup, worker)
        self._tally.counts.setup_seconds += time.perf_counter() - start

    def _prepare(self, step: str, method: Callable[..., None], *arguments: object) -> None:
        """Call a step of the life-cycle, again where it raises `TransientError`."""
        attempt = 1
        while True:
            try:
                method(*arguments)
            except _USER_ERRORS as error:
                patience = self._retry.decide(error, attempt) if isinstance(error, TransientError) else None
                if not isinstance(patience, Retry):
                    frame, details = user_traceback(error)
                    cause = f"{one_line(error)}{f', raised at {frame}' if frame else ''}"
                    planned = self._planned
                    raise SetupFailed(planned.name, planned.declared_at, step, cause, details) from error
                self._sleep(patience.after_s)
                attempt += 1
            else:
                return

    def close(self) -> None:
        """Call `teardown` if `setup` was entered. Raises what it raises."""
        if self._entered:
            self._entered = False
            self._stage.teardown()

    def take(self) -> tuple[StageCounts, list[Receipt]]:
        """Return what was counted and who left early since the last `take`."""
        return self._tally.take()

    def run(self, envelopes: Sequence[Envelope]) -> list[Envelope] | Iterator[list[Envelope]]:
        """Run the stage on envelopes; for a stage that works on batches they are one batch.

        Returns:
            What goes on to the next stage. An iterator over parts of it where user code returned an iterator, which is
            consumed as the caller asks for more.
        """
        self._tally.counts.tasks_in += len(envelopes)
        if self._batched:
            return self._run_batch(self._valid(envelopes))
        return self._run_each(envelopes, 0)

    # One task at a time

    def _run_each(self, envelopes: Sequence[Envelope], position: int) -> list[Envelope] | Iterator[list[Envelope]]:
        out: list[Envelope] = []
        process, is_source, tally = self._stage.process, self._is_source, self._tally
        while position < len(envelopes):
            envelope = envelopes[position]
            position += 1
            if self._checks and not self._valid([envelope]):
                continue
            try:
                result, stats = self._call(process, envelope.task, [envelope], envelope.task.data)
                if is_plain(result):
                    items = result.num_items
                    child = only_child_of(envelope, result, stats, is_source=is_source)
                    tally.keep(1, (child,), items)
                    out.append(child)
                    continue
                children = as_children(result)
                if isinstance(children, list):
                    out += self._settle(envelope, children, stats)
                    continue
            except _GaveUpError as gave_up:
                tally.fail(envelope, gave_up.error, gave_up.attempts)
                continue
            except _USER_ERRORS as error:
                tally.fail(envelope, error)
                continue
            return self._go_on_lazily(envelope, children, stats, envelopes, position, out)
        return out

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
        family = family_of(parent, is_source=self._is_source)
        out: list[Envelope] = []
        made = nbytes = 0
        start = time.perf_counter()
        try:
            for live, last in one_ahead(children):
                child = child_of(family, live, stats, self._tally, last=last)
                if child is not None:
                    self._tally.keep(0, (child,), child.task.num_items)
                    out.append(child)
                    nbytes += task_nbytes(child)
                made += 1
                if len(out) >= FRAME_COUNT or nbytes >= FRAME_BYTES or time.perf_counter() - start >= _CHUNK_SECONDS:
                    self._measure(stats, start)
                    yield out
                    out, nbytes, stats = [], 0, self._stats(0, 0)
                    start = time.perf_counter()
        except _USER_ERRORS as error:
            # What was made stays; what was still to come has failed, and the source with it.
            self._tally.fail(Envelope(parent.id, parent.task, family.split.rest()), error)
        else:
            if made:
                self._tally.keep(1, (), 0)
            else:
                self._tally.drop(parent, "empty")
        self._measure(stats, start)
        yield out

    def _settle(self, parent: Envelope, children: list[object], stats: StagePerfStats) -> list[Envelope]:
        """Return the envelopes of one task's children, and count what became of the task."""
        live = live_children(children)
        if not live:
            self._tally.drop(parent, why_none(children))
            return []
        if len(live) == 1 and isinstance(live[0][1], FailedTask):
            self._tally.counts.tasks_failed += 1
            self._tally.fail_on_purpose(parent.id, parent.claims, live[0][1])
            return []
        made = children_of(family_of(parent, is_source=self._is_source), live, stats, self._tally)
        self._tally.keep(1, made, count_items(made))
        return made

    # A batch at a time

    def _run_batch(self, batch: list[Envelope]) -> list[Envelope]:
        if not batch:
            return []
        tasks = [envelope.task for envelope in batch]
        try:
            result, stats = self._call(self._stage.process_batch, tasks, batch, [task.data for task in tasks])
        except _GaveUpError as gave_up:
            return self._find_the_guilty(batch, gave_up.error, gave_up.attempts)
        except _USER_ERRORS as error:
            return self._find_the_guilty(batch, error, 1)
        try:
            results = as_results(result, len(batch))
        except _USER_ERRORS as error:
            return self._fail_all(batch, error, 1)
        return self._settle_batch(batch, results, stats)

    def _find_the_guilty(self, batch: list[Envelope], error: BaseException, attempts: int) -> list[Envelope]:
        """Run halves of a batch that raised: one of its tasks is guilty, the others are not."""
        if len(batch) == 1 or self._planned.topology is Topology.BARRIER:
            return self._fail_all(batch, error, attempts)
        half = len(batch) // 2
        return self._run_batch(batch[:half]) + self._run_batch(batch[half:])

    def _fail_all(self, batch: list[Envelope], error: BaseException, attempts: int) -> list[Envelope]:
        for envelope in batch:
            self._tally.fail(envelope, error, attempts)
        return []

    def _settle_batch(self, batch: list[Envelope], results: list[object], stats: StagePerfStats) -> list[Envelope]:
        if len(results) != len(batch):
            return self._settle_group(batch, results, stats)
        out: list[Envelope] = []
        for parent, result in zip(batch, results, strict=True):
            try:
                out += self._settle(parent, list(as_children(result)), stats)
            except _USER_ERRORS as error:
                self._tally.fail(parent, error)
        return out

    def _settle_group(self, batch: list[Envelope], results: list[object], stats: StagePerfStats) -> list[Envelope]:
        try:
            if len(batch) == 1:
                return self._settle(batch[0], results, stats)
            live = live_children(results)
            if not live:
                for parent in batch:
                    self._tally.drop(parent, why_none(results))
                return []
            made = children_of(group_of(batch, is_source=self._is_source), live, stats, self._tally)
            self._tally.keep(len(batch), made, count_items(made))
        except _USER_ERRORS as error:
            return self._fail_all(batch, error, 1)
        return made

    # Calls

    def _call(
        self, function: Callable[[Any], object], argument: object, members: list[Envelope], payload: object
    ) -> tuple[object, StagePerfStats]:
        """Call user code, again if the policy says so; return what it returned and the call's record.

        Whatever a failed attempt did to the tasks is undone, see `engine.snapshot`.

        Raises:
            _GaveUpError: Every attempt failed.
        """
        counts = self._tally.counts
        items = count_items(members)
        nbytes = estimate_nbytes(payload)
        before = [remember(envelope.task) for envelope in members]
        attempt = 1
        while True:
            start = time.perf_counter()
            try:
                result = function(argument)
            except _USER_ERRORS as error:
                counts.seconds += time.perf_counter() - start
                self._take_notes(None)
                for envelope, was in zip(members, before, strict=True):
                    restore(envelope.task, was)
                decision = self._retry.decide(error, attempt)
                if not isinstance(decision, Retry):
                    raise _GaveUpError(error, attempt) from error
                counts.retries += 1
                self._sleep(decision.after_s)
                attempt += 1
                continue
            stats = self._stats(items, nbytes)
            if self._last_end is not None:
                stats.actor_idle_time = start - self._last_end
            counts.calls += 1
            counts.items_in += items
            self._measure(stats, start)
            return result, stats

    def _stats(self, items: int, nbytes: int) -> StagePerfStats:
        self._calls += 1
        return StagePerfStats(
            self._planned.name,
            num_items_processed=items,
            input_data_size_mb=nbytes / _MIB,
            call_id=(self._call_prefix, self._calls),
        )

    def _measure(self, stats: StagePerfStats, start: float) -> None:
        """Add the time since `start`, and what the stage noted meanwhile, to a record."""
        end = time.perf_counter()
        stats.process_time += end - start
        self._tally.counts.seconds += end - start
        self._last_end = end
        if self._stage._has_notes():
            self._take_notes(stats)

    def _take_notes(self, stats: StagePerfStats | None) -> None:
        """Take what the stage noted during a call; notes of an attempt that failed are forgotten."""
        metrics = self._stage._consume_custom_metrics()
        drops = self._stage._consume_drops()
        if stats is None:
            return
        stats.custom_metrics.update(metrics)
        counted = self._tally.counts.items_dropped
        for reason, count in drops.items():
            counted[reason] = counted.get(reason, 0) + count

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
                self._tally.fail(envelope, error)
            else:
                valid.append(envelope)
        return valid


def _wants_checks(stage: ProcessingStage[Any, Any]) -> bool:
    """Say whether the stage looks at its input: it asks for something, or checks in its own way."""
    for method in ("validate_input", "input_spec_for_task"):
        if getattr(type(stage), method) is not getattr(ProcessingStage, method):
            return True
    return stage.inputs() != ([], [])
