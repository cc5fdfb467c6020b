"""`Session`: the books of one run, kept by the driver, the same for every backend."""

from __future__ import annotations

import copy
import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from nemo_curator.engine.claims import Claims
from nemo_curator.engine.envelope import Envelope, Outcome, Receipt
from nemo_curator.engine.failure import Failure
from nemo_curator.engine.guard import Reading
from nemo_curator.engine.hooks import Advanced, Observer, Observers, RunEnded, RunStarted, Stalled
from nemo_curator.engine.ids import root_ids
from nemo_curator.engine.ledger import Ledger
from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.packing import task_nbytes
from nemo_curator.engine.plan import ExecutionPlan, Segment
from nemo_curator.engine.report import RunReport
from nemo_curator.engine.shipping import ship
from nemo_curator.engine.written import FileNote, Progress, Written
from nemo_curator.errors import ConservationError, CuratorError, UnpicklableError
from nemo_curator.tasks import EmptyTask, Task

__all__ = ["Session"]

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class Session:
    """One run: what goes in, what became of it, and whether the books balance.

    A backend asks for `seeds` and `shipped` segments, and reports what came back with `note` and `deliver`. `check` comes first;
    `complete` or `abandon` comes last.

    Args:
        plan: What runs.
        options: How it shall behave.
        backend: Name of the backend, for the report.
        initial_tasks: Tasks that the run starts from, consumed as there is room; an `EmptyTask` when there are none.
        seeds: Envelopes that the run starts from instead, with their ids and claims.
        observers: Are told what happens.
        restarts: The run may have to begin again, so tasks that it starts from are kept as they are taken.
        streams: Somebody reads the outputs one by one while the run goes on; otherwise they are kept up to its end.
        progress: Is told which files were written, and which sources are finished, none of whose tasks failed.
    """

    def __init__(
        self,
        plan: ExecutionPlan,
        options: RunOptions,
        *,
        backend: str,
        initial_tasks: Iterable[Task[Any]] | None = None,
        seeds: Iterable[Envelope] | None = None,
        observers: Iterable[Observer] = (),
        restarts: bool = False,
        streams: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.plan = plan
        self.options = options
        self.report = RunReport.of(plan, backend)
        self.outputs: list[Task[Any]] = []
        self._initial = _Kept(initial_tasks) if restarts and initial_tasks is not None else initial_tasks
        self._seeds = _Kept(seeds) if restarts and seeds is not None else seeds
        self._ledger = Ledger()
        self._observers = Observers(observers)
        self._shipped: dict[int, bytes] = {}
        self._streams = streams
        self._progress = progress
        self._written = Written(plan, None if progress is None else progress.files)
        self._waiting: deque[tuple[Task[Any], int, int]] = deque()
        self._waiting_bytes = 0
        # What the reader of a stream has got, he must not get again: hashes, as there may be millions.
        self._given: set[int] | None = set() if restarts and streams else None
        self._start = time.perf_counter()

    # Before

    def check(self) -> None:
        """Look whether the run can succeed, before any worker starts.

        Every stage is pickled, and asked to look at its inputs and outputs.

        Raises:
            CuratorError: It cannot; the message says why.
        """
        for segment in self.plan.segments:
            self.shipped(segment)
        resumes = any(planned.sources is not None and planned.sources.begun for planned in self.plan.stages)
        for planned in self.plan.stages:
            try:
                planned.stage.check_before_resume() if resumes else planned.stage.check_before_run()
            except CuratorError as error:
                error.add_note(f"This is stage {planned.name!r} (added at {planned.declared_at}); nothing has run yet.")
                raise
        self._observers.tell(RunStarted(self.plan, self.report.backend))

    def shipped(self, segment: Segment) -> bytes:
        """Return a segment as bytes, pickled once."""
        data = self._shipped.get(segment.index)
        if data is None:
            data = self._shipped[segment.index] = ship(segment)
        return data

    @property
    def starts_from_nothing(self) -> bool:
        """Whether nobody gave tasks to start from, so that there is one seed."""
        return self._initial is None and self._seeds is None

    def seeds(self, *, deep: bool) -> Iterator[Envelope]:
        """Yield copies of the tasks that the run starts from. Each is counted when it is taken.

        Args:
            deep: Copy payloads too. Not needed where tasks are pickled on their way to a worker.
        """
        if self._seeds is not None:
            for seed in self._seeds:
                self.report.tasks_fed += 1
                yield seed
            return
        tasks = [EmptyTask()] if self._initial is None else self._initial
        for identity, task in root_ids(tasks):
            own = _own_copy(identity, task) if deep else copy.copy(task)
            own.task_id = identity
            self.report.tasks_fed += 1
            yield Envelope(identity, own)

    # During

    def note(
        self,
        segment: Segment,
        counts: Sequence[StageCounts],
        receipts: Iterable[Receipt] = (),
        deliveries: Iterable[tuple[str, Claims]] = (),
        *,
        undone: Sequence[StageCounts] = (),
        queued: Sequence[int] = (),
    ) -> None:
        """Enter what a worker did: counts of the segment's stages, who left early, who reached the end.

        Args:
            segment: The segment.
            counts: Of its stages.
            receipts: Tasks that left early, files, sources that were left out.
            deliveries: Tasks that reached the end.
            undone: Counts that were entered before, of work that a worker's death has undone.
            queued: Tasks that wait in front of each segment.

        Raises:
            StageFailed: A task was given up, and the run shall end for it.
        """
        for stage, less in zip(segment.stages, undone, strict=False):
            self.report.stages[stage.index].counts.take_back(less)
        for stage, more in zip(segment.stages, counts, strict=False):
            self.report.stages[stage.index].counts.add(more)
        finished: list[str] = []
        failures: list[Failure] = []
        written: list[FileNote] = []
        for identity, claims in deliveries:
            self.report.tasks_delivered += 1
            finished += self._ledger.see(identity, claims)
        for receipt in receipts:
            if receipt.outcome is Outcome.WRITTEN:
                written.append(self._written.add(receipt))
                continue
            if receipt.outcome is Outcome.LEFT_OUT:
                self._written.left_out(receipt.marks)
                continue
            finished += self._ledger.see(receipt.id, receipt.claims, failed=receipt.outcome is Outcome.FAILED)
            if receipt.failure is not None:
                failures.append(receipt.failure)
        # What is finished is noted even if a failure in the same breath ends the run.
        if (written or finished) and self._progress is not None:
            self._progress.note(written, finished)
        for failure in failures:
            self._failed(failure)
        self.report.sources_completed = self._ledger.completed
        self.report.sources_failed = self._ledger.failed
        self._observers.tell(Advanced(self.report, tuple(queued)))

    def deliver(self, envelopes: Iterable[Envelope]) -> None:
        """Keep tasks that reached the end, for the caller of the run."""
        if not self._streams:
            self.outputs += [envelope.task for envelope in envelopes]
            return
        for envelope in envelopes:
            mark, nbytes = hash(envelope.id), task_nbytes(envelope)
            if self._given is not None and mark in self._given:
                continue
            self._waiting.append((envelope.task, nbytes, mark))
            self._waiting_bytes += nbytes

    def next_output(self) -> Task[Any] | None:
        """Return a task that waits for the reader of a stream, and hold it no more; `None` if none waits."""
        if not self._waiting:
            return None
        task, nbytes, mark = self._waiting.popleft()
        self._waiting_bytes -= nbytes
        if self._given is not None:
            self._given.add(mark)
        return task

    @property
    def outputs_wait(self) -> bool:
        """Whether the reader of a stream has something to do, so that nobody needs to wait for more."""
        return bool(self._waiting)

    @property
    def outputs_full(self) -> bool:
        """Whether so much waits for the reader of a stream that no more shall be made."""
        return self._waiting_bytes >= self.options.edge_bytes

    def lost_worker(self, sentence: str) -> None:
        """Note that a worker died with something to do."""
        self.report.workers_lost += 1
        self.warn(sentence)

    def saw_memory(self, readings: Iterable[Reading]) -> None:
        """Note how much memory workers have."""
        for reading in readings:
            self.saw_peak(reading.private_bytes or 0)

    def saw_peak(self, nbytes: int) -> None:
        """Note how much memory a worker was seen to have."""
        self.report.peak_worker_bytes = max(self.report.peak_worker_bytes, nbytes)

    def stalled(self, text: str) -> None:
        """Note, and say, that nothing moves."""
        _log.warning("%s", text)
        self.warn(text)
        self._observers.tell(Stalled(text))

    def warn(self, sentence: str) -> None:
        """Note what went wrong without costing a task."""
        self.report.warnings.append(sentence)

    def _failed(self, failure: Failure) -> None:
        self.report.failures.append(failure)
        limit = self.options.max_failures
        if self.options.on_error == "quarantine" and (limit is None or len(self.report.failures) <= limit):
            return
        error = failure.to_error()
        if self.options.on_error == "quarantine":
            error.add_note(f"More than max_failures={limit} tasks were given up, so the run ends.")
        raise error from failure.original()

    def begin_again(self, why: str) -> None:
        """Open new books: what was under way is lost, and everything is done anew. What a stream's reader has got stays with him.

        Args:
            why: A sentence for the report.
        """
        report = self.report
        fresh = RunReport.of(self.plan, report.backend)
        report.stages, report.failures = fresh.stages, fresh.failures
        report.tasks_fed = report.tasks_delivered = report.sources_completed = report.sources_failed = 0
        self._ledger = Ledger()
        self._written.begin_again()
        # The same sources may come together in other files this time: then what is noted of those of before must not count.
        if self._progress is not None and self._written.shares_files:
            self._progress.forget()
        self.outputs.clear()
        self._waiting.clear()
        self._waiting_bytes = 0
        self.lost_worker(why)

    # After

    def complete(self) -> None:
        """Balance the books of a run that came to its end, and commit what it has written.

        Raises:
            ConservationError: Tasks were lost or doubled.
            CuratorError: A stage could not commit its output.
        """
        problems = self.report.imbalances()
        if self._ledger.under_way():
            problems.append(f"sources never came to an end: {', '.join(self._ledger.under_way()[:5])}")
        if self._ledger.conflicts:
            problems.append(f"tasks came twice with different outcomes: {', '.join(self._ledger.conflicts[:5])}")
        if problems:
            message = f"the books of pipeline {self.plan.name!r} do not balance: {'; '.join(problems)}. This is a fault of the engine"
            raise ConservationError(message)
        # A replay is about some of the tasks only.
        self._written.commit(is_part=self._seeds is not None)
        self._end("completed", None)

    def abandon(self, error: BaseException) -> None:
        """Close the books of a run that ended early."""
        if isinstance(error, GeneratorExit):
            self._end("closed", None)
        else:
            self._end("failed" if isinstance(error, Exception) else "interrupted", error)

    def _end(self, status: str, error: BaseException | None) -> None:
        self.report.status = status
        self.report.seconds = time.perf_counter() - self._start
        self._observers.tell(RunEnded(self.report, error))


class _Kept(Generic[_T]):
    """Iterates over what may be iterated over once, any number of times."""

    def __init__(self, things: Iterable[_T]) -> None:
        self._kept: list[_T] = []
        self._rest = iter(things)

    def __iter__(self) -> Iterator[_T]:
        yield from self._kept
        for thing in self._rest:
            self._kept.append(thing)
            yield thing


def _own_copy(identity: str, task: Task[Any]) -> Task[Any]:
    try:
        return copy.deepcopy(task)
    except Exception as error:  # user classes may raise anything when copied
        message = (
            f"initial task {identity} cannot be copied for the run: {type(error).__name__}: {error}; keep to plain data"
        )
        raise UnpicklableError(message) from error
