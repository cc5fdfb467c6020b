"""`StageRunner`: one stage in one worker, and the only place that calls user code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nemo_curator.engine.beacon import Beacon
from nemo_curator.engine.caller import USER_ERRORS, Caller, GaveUpError
from nemo_curator.engine.children import child_of, children_of, count_items, family_of, group_of, only_child_of
from nemo_curator.engine.envelope import Envelope, Receipt
from nemo_curator.engine.failure import one_line, user_traceback
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.outputs import as_children, as_results, is_plain, live_children, one_ahead, why_none, within
from nemo_curator.engine.packing import FRAME_BYTES, FRAME_COUNT, task_nbytes
from nemo_curator.engine.plan import PlannedStage
from nemo_curator.engine.quarantine import Quarantine
from nemo_curator.engine.retry import RetryBudget, RetryPolicy
from nemo_curator.engine.sources import EVERY_SOURCE
from nemo_curator.engine.tally import Tally
from nemo_curator.engine.verdict import Verdict
from nemo_curator.errors import DataError, SetupFailed
from nemo_curator.stages.base import ProcessingStage, Topology
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import FailedTask
from nemo_curator.utils.performance_utils import StagePerfStats

__all__ = ["StageRunner"]

_CHUNK_SECONDS = 0.05


class StageRunner:
    """Runs one stage for one worker: `open`, then `run` any number of times, then `close`.

    After a `run`, `take` gives what was counted and the receipts of tasks that left early.

    Args:
        planned: The stage. The runner uses its object as it is, so every worker brings its own copy.
        retry: Decides about further attempts.
        budget: Limits them over all tasks.
        beacon: Where the runner says what it is at.
        quarantine: Where tasks are kept that were given up.
        token: Part of the ids of calls; no other worker of any run has the same.
        sleep: Waits between attempts.
    """

    def __init__(
        self,
        planned: PlannedStage,
        retry: RetryPolicy,
        *,
        budget: RetryBudget | None = None,
        beacon: Beacon | None = None,
        quarantine: Quarantine | None = None,
        token: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._planned = planned
        self._stage = planned.stage
        self._sources = (planned.sources or EVERY_SOURCE) if planned.is_source else None
        self._batched = self._stage.supports_batch_processing() or planned.topology is Topology.BARRIER
        self._checks = _wants_checks(self._stage)
        self._careful = False
        self._entered = False
        self._tally = Tally(planned, quarantine)
        self._caller = Caller(
            planned, self._tally, retry, budget or RetryBudget(100, 0.2), beacon or Beacon(), token, sleep
        )

    def heed(self, verdicts: Sequence[Verdict] | None) -> None:
        """Note every call by its task from now on, and call nothing that was found guilty; `None` ends that."""
        self._careful = verdicts is not None
        self._caller.heed(verdicts)

    def open(self, worker: WorkerMetadata, node: NodeInfo | None = None) -> None:
        """Call `setup`; before it `setup_on_node` if `node` is given, which is so for the node's first worker.

        Raises:
            SetupFailed: One of them raised. What was entered is torn down by `close`.
        """
        if node is not None:
            self._prepare("setup_on_node", lambda: self._stage.setup_on_node(node, worker))
        self._entered = True
        self._prepare("setup", lambda: self._stage.setup(worker))

    def _prepare(self, step: str, method: Callable[[], None]) -> None:
        try:
            self._caller.prepare(method)
        except USER_ERRORS as error:
            frame, details = user_traceback(error)
            cause = f"{one_line(error)}{f', raised at {frame}' if frame else ''}"
            planned = self._planned
            raise SetupFailed(planned.name, planned.declared_at, step, cause, details) from error

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
            return self._run_batches(envelopes)
        return self._run_each(envelopes, 0)

    # One task at a time

    def _run_each(self, envelopes: Sequence[Envelope], position: int) -> list[Envelope] | Iterator[list[Envelope]]:
        out: list[Envelope] = []
        process, sources, tally = self._stage.process, self._sources, self._tally
        while position < len(envelopes):
            envelope = envelopes[position]
            position += 1
            if self._checks and not self._valid([envelope]):
                continue
            if self._careful and self._is_condemned(envelope):
                continue
            try:
                result, stats = self._caller.call(process, envelope.task, [envelope], envelope.task.data)
                if is_plain(result) and envelope.slots is None:
                    items = result.num_items
                    child = only_child_of(envelope, result, stats, sources, tally)
                    if child is None:
                        tally.keep(1, (), 0)
                        continue
                    tally.keep(1, (child,), items)
                    out.append(child)
                    continue
                children = as_children(result)
                if isinstance(children, list):
                    out += self._settle(envelope, children, stats)
                    continue
            except GaveUpError as gave_up:
                tally.fail(envelope, gave_up.error, gave_up.attempts)
                continue
            except USER_ERRORS as error:
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
        family = family_of(parent, self._sources)
        out: list[Envelope] = []
        made = nbytes = 0
        slot = -1
        start = time.perf_counter()
        try:
            for live, last in one_ahead(self._steps(parent, children)):
                slot = live[0]
                child = child_of(family, live, stats, self._tally, last=last)
                if child is not None:
                    self._tally.keep(0, (child,), child.task.num_items)
                    out.append(child)
                    nbytes += task_nbytes(child)
                made += 1
                if len(out) >= FRAME_COUNT or nbytes >= FRAME_BYTES or time.perf_counter() - start >= _CHUNK_SECONDS:
                    self._caller.measure(stats, start, (parent,))
                    yield out
                    out, nbytes, stats = [], 0, self._caller.record()
                    start = time.perf_counter()
        except USER_ERRORS as error:
            # What was made stays; what was still to come has failed, and the source with it.
            rest = Envelope(parent.id, parent.task, family.split.rest())
            verdict = self._caller.verdict_on(parent)
            self._tally.fail(rest, error, verdict.attempts if verdict else 1, slots=(slot + 1, None))
        else:
            if made:
                self._tally.keep(1, (), 0)
            else:
                self._tally.drop(parent, "empty")
        self._caller.measure(stats, start, (parent,))
        yield out

    def _steps(self, parent: Envelope, children: Iterator[object]) -> Iterator[object]:
        steps = self._caller.steps(parent, children)
        return steps if parent.slots is None else within(steps, parent.slots)

    def _is_condemned(self, envelope: Envelope) -> bool:
        """Fail a task that was found guilty before its stage was called with it."""
        verdict = self._caller.verdict_on(envelope)
        if verdict is None or verdict.made:
            return False
        self._tally.fail(envelope, verdict.error(), verdict.attempts)
        return True

    def _settle(self, parent: Envelope, children: list[object], stats: StagePerfStats) -> list[Envelope]:
        """Return the envelopes of one task's children, and count what became of the task."""
        if parent.slots is not None:
            children = list(within(children, parent.slots))
        live = live_children(children)
        if not live:
            self._tally.drop(parent, why_none(children))
            return []
        if len(live) == 1 and isinstance(live[0][1], FailedTask):
            self._tally.counts.tasks_failed += 1
            self._tally.fail_on_purpose(parent, parent.id, parent.claims, live[0][1])
            return []
        made = children_of(family_of(parent, self._sources), live, stats, self._tally)
        self._tally.keep(1, made, count_items(made))
        return made

    # A batch at a time

    def _run_batches(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        valid = self._valid(envelopes)
        # A stage before it in the same segment may have made several tasks of one.
        size = len(valid) if self._planned.topology is Topology.BARRIER else self._planned.batch_size
        if len(valid) <= size:
            return self._run_batch(valid)
        return [made for start in range(0, len(valid), size) for made in self._run_batch(valid[start : start + size])]

    def _run_batch(self, batch: list[Envelope]) -> list[Envelope]:
        if not batch:
            return []
        verdict = self._caller.verdict_on(batch[0])
        if verdict is not None:
            return self._fail_all(batch, verdict.error(), verdict.attempts)
        tasks = [envelope.task for envelope in batch]
        try:
            result, stats = self._caller.call(self._stage.process_batch, tasks, batch, [task.data for task in tasks])
        except GaveUpError as gave_up:
            return self._find_the_guilty(batch, gave_up.error, gave_up.attempts)
        except USER_ERRORS as error:
            return self._find_the_guilty(batch, error, 1)
        try:
            results = as_results(result, len(batch))
        except USER_ERRORS as error:
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
            except USER_ERRORS as error:
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
            made = children_of(group_of(batch, self._sources), live, stats, self._tally)
            self._tally.keep(len(batch), made, count_items(made))
        except USER_ERRORS as error:
            return self._fail_all(batch, error, 1)
        return made

    def _valid(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Return the envelopes whose tasks have what the stage asks for; the others have failed."""
        if not self._checks:
            return list(envelopes)
        valid: list[Envelope] = []
        for envelope in envelopes:
            try:
                problem = self._caller.check(envelope)
                if problem:
                    message = f"stage {self._planned.name!r} cannot take task {envelope.id}: {problem}"
                    raise DataError(message)
            except USER_ERRORS as error:
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
