"""`Caller`: a stage's user code, called and watched: attempts, times, notes, and where the worker is meanwhile."""

# What a stage noted during a call is the engine's to take.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nemo_curator.engine.beacon import Beacon
from nemo_curator.engine.children import count_items
from nemo_curator.engine.envelope import Envelope
from nemo_curator.engine.plan import PlannedStage
from nemo_curator.engine.retry import Retry, RetryBudget, RetryPolicy
from nemo_curator.engine.snapshot import remember, restore
from nemo_curator.engine.tally import Tally
from nemo_curator.engine.verdict import Verdict
from nemo_curator.errors import TaskTimeout
from nemo_curator.utils.performance_utils import StagePerfStats
from nemo_curator.utils.sizing import estimate_nbytes

__all__ = ["USER_ERRORS", "Caller", "GaveUpError"]

_MIB = 1024**2

# What a stage may raise that is its task's failure. Not KeyboardInterrupt: that one is for the whole run.
USER_ERRORS = (Exception, SystemExit)


class GaveUpError(Exception):
    """Every attempt failed; holds the last error."""

    def __init__(self, error: BaseException, attempts: int) -> None:
        super().__init__(error, attempts)
        self.error, self.attempts = error, attempts


class Caller:
    """Calls the code of one stage in one worker.

    Args:
        planned: The stage.
        tally: Where calls are counted.
        retry: Decides about further attempts.
        budget: Limits them over all tasks.
        beacon: Where the worker says what it is at.
        token: Part of the ids of calls.
        sleep: Waits between attempts.
    """

    def __init__(
        self,
        planned: PlannedStage,
        tally: Tally,
        retry: RetryPolicy,
        budget: RetryBudget,
        beacon: Beacon,
        token: str,
        sleep: Callable[[float], None],
    ) -> None:
        self._planned = planned
        self._stage = planned.stage
        self._tally = tally
        self._retry = retry
        self._budget = budget
        self._beacon = beacon
        self._prefix = f"{token}.{planned.index}"
        self._sleep = sleep
        self._calls = 0
        self._last_end: float | None = None
        self._timeout_s = planned.timeout_s
        self._names = planned.timeout_s is not None
        self._verdicts: dict[bytes, Verdict] = {}

    def heed(self, verdicts: Sequence[Verdict] | None) -> None:
        """Note every call by its task from now on, as some were found guilty; `None` ends that."""
        mine = [verdict for verdict in verdicts or () if verdict.stage == self._planned.index]
        self._verdicts = {Beacon.clip(verdict.task): verdict for verdict in mine}
        self._names = verdicts is not None or self._timeout_s is not None

    def verdict_on(self, envelope: Envelope) -> Verdict | None:
        """Return what is known about a task, if it was found guilty."""
        return self._verdicts.get(Beacon.clip(envelope.id)) if self._verdicts else None

    def prepare(self, step: Callable[[], None]) -> None:
        """Call a step of the life-cycle. Raises what it raises, after it has been tried again where that may help."""
        attempt = 1
        while True:
            start = time.perf_counter()
            self._beacon.enter(self._planned.index, start)
            try:
                step()
            except USER_ERRORS as error:
                patience = self._retry.decide_setup(error, attempt, luck=_luck())
                if not isinstance(patience, Retry):
                    raise
                self._sleep(patience.after_s)
                attempt += 1
            else:
                return
            finally:
                self._beacon.leave()
                self._tally.counts.setup_seconds += time.perf_counter() - start

    def check(self, envelope: Envelope) -> str:
        """Return why the stage cannot take a task, as half a sentence; nothing if it can. Raises what its checks raise."""
        start = time.perf_counter()
        self._enter(start, envelope)
        try:
            if self._stage.validate_input(envelope.task):
                return ""
            return self._stage.explain_invalid(envelope.task) or "its validate_input said no"
        finally:
            self._beacon.leave()

    def call(
        self, function: Callable[[Any], object], argument: object, members: list[Envelope], payload: object
    ) -> tuple[object, StagePerfStats]:
        """Call user code, again if the policy says so; return what it returned and the call's record.

        Whatever a failed attempt did to the tasks is undone, see `engine.snapshot`.

        Raises:
            GaveUpError: Every attempt failed.
        """
        counts, beacon = self._tally.counts, self._beacon
        items = count_items(members)
        nbytes = estimate_nbytes(payload)
        before = [remember(envelope.task) for envelope in members]
        attempt = 1
        while True:
            start = time.perf_counter()
            if self._names:
                beacon.name(start, members[0].id, members=len(members))
            beacon.enter(self._planned.index, start)
            try:
                result = function(argument)
                if self._timeout_s is not None:
                    self._refuse_late(start)
            except USER_ERRORS as error:
                beacon.leave()
                counts.seconds += time.perf_counter() - start
                self._take_notes(None, ())
                for envelope, was in zip(members, before, strict=True):
                    restore(envelope.task, was)
                decision = self._retry.decide(error, attempt, luck=_luck())
                if not isinstance(decision, Retry) or not self._budget.spend():
                    raise GaveUpError(error, attempt) from error
                counts.retries += 1
                self._sleep(decision.after_s)
                attempt += 1
                continue
            beacon.leave()
            stats = self.record(items, nbytes)
            if self._last_end is not None:
                stats.actor_idle_time = start - self._last_end
            counts.calls += 1
            counts.items_in += items
            self._budget.earn(1)
            self.measure(stats, start, members)
            return result, stats

    def steps(self, parent: Envelope, children: Iterator[object]) -> Iterator[object]:
        """Yield an iterator's children; every step of it is a call of user code like another."""
        made = 0
        verdict = self.verdict_on(parent)
        while True:
            if verdict is not None and made >= verdict.made:
                raise verdict.error()
            start = time.perf_counter()
            self._enter(start, parent, made)
            try:
                child = next(children)
            except StopIteration:
                return
            finally:
                self._beacon.leave()
            if self._timeout_s is not None:
                self._refuse_late(start)
            made += 1
            yield child

    def record(self, items: int = 0, nbytes: int = 0) -> StagePerfStats:
        """Return the record of another call."""
        self._calls += 1
        return StagePerfStats(
            self._planned.name,
            num_items_processed=items,
            input_data_size_mb=nbytes / _MIB,
            call_id=(self._prefix, self._calls),
        )

    def measure(self, stats: StagePerfStats, start: float, members: Sequence[Envelope]) -> None:
        """Add the time since `start`, and what the stage noted meanwhile about these tasks, to a record."""
        end = time.perf_counter()
        stats.process_time += end - start
        self._tally.counts.seconds += end - start
        self._last_end = end
        if self._stage._has_notes():
            self._take_notes(stats, members)

    def _enter(self, start: float, envelope: Envelope, made: int = 0) -> None:
        if self._names:
            self._beacon.name(start, envelope.id, made=made)
        self._beacon.enter(self._planned.index, start)

    def _refuse_late(self, start: float) -> None:
        """Raise for a call that took too long although it returned: where workers can be killed, it would not have."""
        seconds, limit = time.perf_counter() - start, self._timeout_s
        if limit is not None and seconds > limit:
            message = f"it took {seconds:.1f} s, longer than timeout_s={limit:g}"
            raise TaskTimeout(message)

    def _take_notes(self, stats: StagePerfStats | None, members: Sequence[Envelope]) -> None:
        """Take what the stage noted during a call; notes of an attempt that failed are forgotten."""
        metrics = self._stage._consume_custom_metrics()
        drops = self._stage._consume_drops()
        written = self._stage._consume_written()
        if stats is None:
            return
        for file in written:
            self._tally.wrote(members, file)
        stats.custom_metrics.update(metrics)
        counted = self._tally.counts.items_dropped
        for reason, count in drops.items():
            counted[reason] = counted.get(reason, 0) + count


def _luck() -> float:
    """Return a number from 0 to 1, for pauses."""
    return random.random()  # noqa: S311 - nothing secret
