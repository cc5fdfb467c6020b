"""`BaseExecutor`, the port of every backend, and `BaseStageAdapter` for code that drives a stage itself."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from nemo_curator.engine.compile import compile_plan
from nemo_curator.engine.envelope import Envelope
from nemo_curator.engine.hooks import Observer
from nemo_curator.engine.options import Options, RunOptions
from nemo_curator.engine.plan import ExecutionPlan
from nemo_curator.engine.report import RunReport
from nemo_curator.engine.retry import RetryPolicy
from nemo_curator.engine.runner import StageRunner
from nemo_curator.engine.session import Session
from nemo_curator.engine.written import Progress
from nemo_curator.errors import OptionError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import Task

__all__ = ["BaseExecutor", "BaseStageAdapter", "NodeInfo", "WorkerMetadata"]

_READER_SECONDS = 0.02
_TRUE = {"1", "true", "yes"}


class BaseExecutor(ABC):
    """Runs plans. A backend implements `_run`; everything that is the same on every backend is here.

    Args:
        config: Options by name. Those of `RunOptions` are known to every backend; ``ignore_failures=True`` is another word for
            ``on_error="quarantine"``.
        ignore_head_node: Keep work off the head node of a cluster, where there is one.

    Raises:
        OptionError: An option that nobody reads, or of the wrong kind.
    """

    name: ClassVar[str] = "base"
    patient: ClassVar[bool] = False
    """Its engine takes what a bundle becomes only when all of it is there, so what an iterator yields goes on together."""
    restarts: ClassVar[bool] = False
    """A run may have to begin again, as its engine can lose what was under way."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Options of `RunOptions` whose default is another on this backend."""

    def __init__(self, config: Mapping[str, Any] | None = None, ignore_head_node: bool = False) -> None:
        self.config = dict(config or {})
        switch = os.environ.get("CURATOR_IGNORE_RAY_HEAD_NODE", "").lower() in _TRUE
        self.ignore_head_node = ignore_head_node or switch
        common = RunOptions.names()
        given = {**self.defaults, **self.config}
        if given.pop("ignore_failures", False):
            if given.get("on_error") == "fail":
                message = f"{type(self).__name__}: ignore_failures=True contradicts on_error='fail'; give one of them"
                raise OptionError(message)
            given["on_error"] = "quarantine"
        where = type(self).__name__
        self.options = RunOptions.parse({key: value for key, value in given.items() if key in common}, where=where)
        self._read_options({key: value for key, value in given.items() if key not in common})

    def execute(
        self, stages: Sequence[ProcessingStage[Any, Any]], initial_tasks: Iterable[Task[Any]] | None = None
    ) -> list[Task[Any]]:
        """Run stages from `initial_tasks`, or from one `EmptyTask`; return the last stage's tasks in no particular order."""
        tasks = list(initial_tasks or ())
        plan = self.plan(stages, first_task=tasks[0] if tasks else None)
        return self.run(plan, initial_tasks=tasks or None).outputs

    def plan(
        self,
        stages: Sequence[ProcessingStage[Any, Any]],
        *,
        name: str = "pipeline",
        declared_at: Sequence[str] = (),
        first_task: object = None,
    ) -> ExecutionPlan:
        """Return the plan of these stages as this executor's options want it."""
        return compile_plan(
            stages, name=name, declared_at=declared_at, first_task=first_task, fuse_stages=self.options.fuse
        )

    def run(
        self,
        plan: ExecutionPlan,
        *,
        initial_tasks: Iterable[Task[Any]] | None = None,
        seeds: Iterable[Envelope] | None = None,
        observers: Iterable[Observer] = (),
        progress: Progress | None = None,
        **changes: Any,
    ) -> Session:
        """Run a plan to its end and return the session with outputs and report.

        Args:
            plan: What to run.
            initial_tasks: Tasks to start from; consumed as there is room, so an iterator may be endless in size.
            seeds: Envelopes to start from instead, see `engine.replay`.
            observers: Are told what happens.
            progress: Is told how far the run has come, see `Session`.
            changes: Run options that differ from the executor's for this run.

        Raises:
            CuratorError: The run could not start, or ended early.
        """
        session = self._session(
            plan, changes, initial_tasks=initial_tasks, seeds=seeds, observers=observers, progress=progress
        )
        steps = self._steps(session)
        try:
            for _ in steps:
                pass
        finally:
            steps.close()
        return session

    def stream(
        self,
        plan: ExecutionPlan,
        *,
        initial_tasks: Iterable[Task[Any]] | None = None,
        observers: Iterable[Observer] = (),
        ended: Callable[[RunReport], None] | None = None,
        **changes: Any,
    ) -> Generator[Task[Any]]:
        """Run a plan and yield its outputs as they come; what nobody has read yet holds the run back.

        The run goes on while outputs are asked for. Closing the iterator, or dropping it, ends the run.

        Args:
            plan: What to run.
            initial_tasks: Tasks to start from.
            observers: Are told what happens.
            ended: Gets the report when the run is over, however it ended.
            changes: Run options that differ from the executor's for this run.

        Raises:
            CuratorError: The run could not start, or ended early.
        """
        changes = {**changes, "return_outputs": True}
        session = self._session(plan, changes, initial_tasks=initial_tasks, observers=observers, streams=True)
        steps = self._steps(session)
        try:
            for _ in steps:
                since = time.perf_counter()
                while (task := session.next_output()) is not None:
                    yield task
                    # A reader that takes its time must not leave the workers without work.
                    if time.perf_counter() - since > _READER_SECONDS and session.outputs_wait:
                        break
        finally:
            steps.close()
            if ended is not None:
                ended(session.report)

    @property
    def cluster_address(self) -> str | None:
        """Address of the Ray cluster that runs go to, as far as it is known now; `None` where there is none."""
        return None

    @contextmanager
    def keeping_workers(self) -> Generator[None]:
        """Let runs that follow one another in a ``with`` block share processes, where starting them takes as long as a small run.

        Every run sets its stages up, and tears them down, as it does alone; what is kept is the processes, with the modules that they
        have imported. They end with the block. On a Ray cluster it is the connection that is kept: Ray then keeps processes itself.
        """
        yield

    def _session(self, plan: ExecutionPlan, changes: Mapping[str, Any], **arguments: Any) -> Session:
        options = replace(self.options, **changes) if changes else self.options
        return Session(plan, self._fit(options, plan), backend=self.name, restarts=self.restarts, **arguments)

    def _steps(self, session: Session) -> Generator[None]:
        """Check, run and complete a session, or abandon it; yield when outputs may wait."""
        try:
            session.check()
            yield from self._run(session)
            while session.outputs_wait:
                yield
            session.complete()
        except BaseException as error:
            session.abandon(error)
            # The report of a run that failed is worth more than that of one that did not.
            error.__dict__.setdefault("report", session.report)
            raise

    @abstractmethod
    def _run(self, session: Session) -> Iterator[None]:
        """Bring every task of a session to its end; yield when outputs may wait."""

    def _fit(self, options: RunOptions, plan: ExecutionPlan) -> RunOptions:
        """Return the options of a run as the backend's capacity wants them. The default leaves them alone."""
        return options

    def _read_options(self, given: Mapping[str, Any]) -> None:
        """Read the options that only this backend knows. The default knows none."""
        Options.parse(given, where=type(self).__name__, others=RunOptions.names())


class BaseStageAdapter:
    """Drives one stage outside of a run, as the engine would.

    Args:
        stage: The stage; its own object is used.
    """

    def __init__(self, stage: ProcessingStage[Any, Any]) -> None:
        self.stage = stage
        self._planned = compile_plan([stage], first_task=object()).stages[0]
        self._runner = StageRunner(self._planned, RetryPolicy())
        self._worker = WorkerMetadata()

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Call the stage's `setup_on_node`."""
        self.stage.setup_on_node(node_info, worker_metadata)

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Call the stage's `setup`; `teardown` may follow."""
        self._worker = worker_metadata or self._worker
        self._runner.open(self._worker)

    def teardown(self) -> None:
        """Call the stage's `teardown` if it was set up."""
        self._runner.close()

    def process_batch(self, tasks: list[Task[Any]]) -> list[Task[Any]]:
        """Run tasks through the stage; return what goes on, with ids and records.

        Raises:
            StageFailed: The stage gave up on one of them.
        """
        envelopes = [Envelope(task.task_id, task) for task in tasks]
        made = self._runner.run(envelopes)
        children = made if isinstance(made, list) else [child for part in made for child in part]
        _, receipts = self._runner.take()
        for receipt in receipts:
            if receipt.failure is not None:
                raise receipt.failure.to_error() from receipt.failure.original()
        return [child.task for child in children]
