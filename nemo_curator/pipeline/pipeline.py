"""`Pipeline`: stages in a row, run by any executor."""

from __future__ import annotations

import itertools
import logging
import os
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.engine.checkpoint import Checkpoint
from nemo_curator.engine.compile import not_a_stage
from nemo_curator.engine.explain import explain_plan
from nemo_curator.engine.hooks import Observer
from nemo_curator.engine.ids import assign_root_task_ids
from nemo_curator.engine.plan import ExecutionPlan, with_sources
from nemo_curator.engine.quarantine import Quarantine
from nemo_curator.engine.replay import replays
from nemo_curator.engine.report import RunReport
from nemo_curator.engine.sources import Sources
from nemo_curator.errors import ConservationError, CuratorError, OptionError, StageFailed
from nemo_curator.pipeline.array_job import ArrayJob
from nemo_curator.pipeline.describe import describe_pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import Task

__all__ = ["Pipeline", "assign_root_task_ids", "default_executor"]

_log = logging.getLogger(__name__)

_PACKAGE = str(Path(__file__).parent.parent)

AnyStage = ProcessingStage[Any, Any]


class Pipeline:
    """Stages in a row.

    Nothing that a pipeline does changes the stages it was given, so that they can be used again and a pipeline can be run
    and extended any number of times.

    Args:
        name: Name, for plans, reports and messages.
        description: What it is for.
        stages: Stages to begin with; more follow with `add_stage`. The list itself is kept.
        config: Anything that the caller wants to keep with it.

    Attributes:
        decomposition_info: For each composite the names of the stages that it became, once a plan was made.
        last_report: What the last run did, also one that failed; `None` before the first.
    """

    def __init__(
        self,
        name: str,
        description: str | None = None,
        stages: list[AnyStage] | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.description = description
        self.stages = [] if stages is None else stages
        self.config = config or {}
        self.decomposition_info: dict[str, list[str]] = {}
        self.last_report: RunReport | None = None
        here = _caller()
        self._places = {id(stage): here for stage in self.stages}

    def add_stage(self, stage: AnyStage) -> Self:
        """Append a stage; return the pipeline.

        Raises:
            TypeError: It is not a `ProcessingStage` instance.
        """
        if not isinstance(stage, ProcessingStage):
            message = f"pipeline {self.name!r}: add_stage takes a ProcessingStage instance, got {not_a_stage(stage)}"
            raise TypeError(message)
        self.stages.append(stage)
        self._places[id(stage)] = _caller()
        return self

    def build(self) -> Self:
        """Check the pipeline and note what its composites stand for; `run` does the same by itself.

        Raises:
            PlanError: It cannot run as it is written.
        """
        self._plan(default_executor(), None)
        return self

    def describe(self) -> str:
        """Return the stages with their resources, inputs and outputs as text. Checks nothing."""
        return describe_pipeline(self.name, self.description, self.stages)

    def explain(
        self,
        executor: BaseExecutor | None = None,
        initial_tasks: Sequence[Task[Any]] | None = None,
        *,
        checkpoint_path: str | None = None,
    ) -> str:
        """Return what a run would do, as text: what runs together, what does not and why, and with what.

        With a checkpoint also what of it is finished, and what was but must be done again, and why.

        Raises:
            PlanError: It cannot run as it is written.
            CheckpointError: The checkpoint cannot be read.
        """
        executor = executor or default_executor()
        plan = self._plan(executor, initial_tasks[0] if initial_tasks else None)
        text = explain_plan(plan, executor.name)
        if checkpoint_path is None:
            return text
        checkpoint = Checkpoint(checkpoint_path, plan)
        return f"{text}\n{checkpoint.read().in_words(checkpoint.path)}\n"

    def run(
        self,
        executor: BaseExecutor | None = None,
        initial_tasks: Iterable[Task[Any]] | None = None,
        checkpoint_path: str | None = None,
        *,
        return_outputs: bool | None = None,
        shard: tuple[int, int] | None = None,
        observers: Iterable[Observer] = (),
    ) -> list[Task[Any]] | None:
        """Run the pipeline and return the tasks of its last stage, in no particular order.

        Args:
            executor: Where to run. When not given: this machine's processes, or Xenna if a Ray cluster was named (`RAY_ADDRESS`, or this
                process is connected to one).
            initial_tasks: Tasks to start from, consumed as there is room; one `EmptyTask` when there are none.
            checkpoint_path: A folder, or any fsspec URL, where the run notes which sources are finished. A later run with the same path
                leaves them out, unless the source, a stage's code or its parameters have changed; so it returns the tasks of the
                others only. Sources of which a task failed are not finished. One run at a time may use it, or one of every shard.
            return_outputs: Whether to bring the tasks back; as the executor is set when not given. Without, the list is empty.
            shard: Take only a part of the sources: ``(k, n)`` is part `k`, from 0, of `n`. The parts of all `k` are all sources. In a Slurm
                array it is the task's part when not given, see `backends.slurm_array`.
            observers: Are told what happens while it runs.

        Raises:
            CuratorError: The run could not start, or ended early. `last_report` says how far it came.
        """
        try:
            executor = self._checked(executor or default_executor())
            first, tasks = _peek(initial_tasks)
            plan = self._plan(executor, first)
            changes: dict[str, Any] = {} if return_outputs is None else {"return_outputs": return_outputs}
            whole = {"initial_tasks": tasks, "observers": observers, **changes}
            job = ArrayJob.begin(checkpoint_path) if shard is None else None
            part = _checked_shard(shard) if job is None else job.config.shard
            outputs = self._run(executor, plan, checkpoint_path, part, whole)
            if job is not None and self.last_report is not None:
                job.end(self.last_report)
            return outputs
        except ConservationError:
            raise
        except CuratorError as error:
            raise _without_our_frames(self.name, error) from _cause_of(error)

    def stream(
        self,
        executor: BaseExecutor | None = None,
        initial_tasks: Iterable[Task[Any]] | None = None,
        *,
        observers: Iterable[Observer] = (),
    ) -> Generator[Task[Any]]:
        """Run the pipeline and yield the tasks of its last stage as they come, so that they need not fit in memory together.

        The run goes on while tasks are asked for; what nobody has read yet holds it back. Closing the iterator ends the run.

        Args:
            executor: Where to run. When not given: this machine's processes, or Xenna if a Ray cluster was named (`RAY_ADDRESS`, or this
                process is connected to one).
            initial_tasks: Tasks to start from, consumed as there is room; one `EmptyTask` when there are none.
            observers: Are told what happens while it runs.

        Raises:
            CuratorError: The run could not start, or ended early. `last_report` says how far it came.
        """
        executor = self._checked(executor or default_executor())
        first, tasks = _peek(initial_tasks)
        plan = self._plan(executor, first)
        outputs = executor.stream(plan, initial_tasks=tasks, observers=observers, ended=self._remember)
        return self._told_plainly(outputs)

    def replay(
        self, quarantine_path: str, executor: BaseExecutor | None = None, *, observers: Iterable[Observer] = ()
    ) -> list[Task[Any]]:
        """Run the tasks in a quarantine again, each from the stage that gave it up; return what comes of them.

        Tasks keep the ids that they had, so that what is written of them gets the names that it would have had. What goes well
        leaves the quarantine; what fails again stays, or comes back under the stage that it failed in now.

        Args:
            quarantine_path: The folder, as it was given to the executor (`quarantine_path`).
            executor: Where to run; as for `run` when not given, going on when a task fails again.
            observers: Are told what happens while it runs.

        Raises:
            PlanError: The pipeline has no stage of that name any more.
            CuratorError: A run could not start, or ended early.
        """
        executor = self._checked(executor or default_executor(on_error="quarantine"))
        quarantine = Quarantine(quarantine_path)
        plan = self._plan(executor, object())
        entries = quarantine.entries()
        lost = [entry for entry in entries if not entry.has_payload]
        if lost:
            message = "%d tasks in quarantine %s were not kept whole and cannot be run again alone; the first, %s: %s"
            _log.warning(message, len(lost), quarantine_path, lost[0].id, lost[0].note)
        outputs: list[Task[Any]] = []
        for replay in replays(plan, entries, fuse_stages=executor.options.fuse):
            try:
                session = executor.run(
                    replay.plan, seeds=replay.seeds(quarantine), observers=observers, quarantine_path=quarantine_path
                )
            except BaseException as error:
                self.last_report = getattr(error, "report", None)
                raise
            self.last_report = session.report
            outputs += session.outputs
            again = {(failure.stage, failure.task_id) for failure in session.report.failures}
            for entry in replay.entries:
                if (entry.stage, entry.id) not in again:
                    quarantine.remove(entry)
        return outputs

    def _remember(self, report: RunReport) -> None:
        self.last_report = report

    def _told_plainly(self, outputs: Iterator[Task[Any]]) -> Generator[Task[Any]]:
        try:
            yield from outputs
        except ConservationError:
            raise
        except CuratorError as error:
            raise _without_our_frames(self.name, error) from _cause_of(error)

    def _checked(self, executor: object) -> BaseExecutor:
        if not isinstance(executor, BaseExecutor):
            message = f"pipeline {self.name!r}: executor must be an executor such as LocalExecutor(), got {executor!r}"
            raise TypeError(message)
        return executor

    def _run(
        self,
        executor: BaseExecutor,
        plan: ExecutionPlan,
        checkpoint_path: str | None,
        shard: tuple[int, int] | None,
        arguments: dict[str, Any],
    ) -> list[Task[Any]]:
        try:
            if checkpoint_path is None:
                session = executor.run(plan if shard is None else with_sources(plan, Sources(shard=shard)), **arguments)
            else:
                with Checkpoint(checkpoint_path, plan, shard=shard) as checkpoint:
                    session = executor.run(checkpoint.plan, progress=checkpoint, **arguments)
        except BaseException as error:
            self.last_report = getattr(error, "report", None)
            raise
        self.last_report = session.report
        return session.outputs

    def _plan(self, executor: BaseExecutor, first_task: object) -> ExecutionPlan:
        places = [self._places.get(id(stage), "<unknown>") for stage in self.stages]
        plan = executor.plan(self.stages, name=self.name, declared_at=places, first_task=first_task)
        self.decomposition_info = dict(plan.decomposition)
        return plan

    def __repr__(self) -> str:
        stages = ", ".join(f"{stage.name}({type(stage).__name__})" for stage in self.stages)
        return f"Pipeline(name={self.name!r}, stages=[{stages}])"


def default_executor(**options: Any) -> BaseExecutor:
    """Return Xenna's executor where somebody has named a Ray cluster, by connecting to it or by `RAY_ADDRESS`; else the local one."""
    from nemo_curator.backends.registry import make_executor

    # Who is connected has imported it; nobody else pays for that.
    ray = sys.modules.get("ray")
    named = bool(os.environ.get("RAY_ADDRESS")) or (ray is not None and ray.is_initialized())
    return make_executor("xenna" if named else "local", **options)


def _checked_shard(shard: object) -> tuple[int, int] | None:
    if shard is None:
        return None
    match shard:
        case (int(index), int(total)) if 0 <= index < total and not isinstance(index, bool):
            return index, total
        case _:
            message = f"shard must be two whole numbers (k, n), k from 0 and below n; got {shard!r}"
            raise OptionError(message)


def _without_our_frames(name: str, error: CuratorError) -> CuratorError:
    # The message says what there is to say. How the engine got there helps nobody at three in the morning.
    _log.debug("pipeline %r failed", name, exc_info=True)
    return error.with_traceback(None)


def _cause_of(error: CuratorError) -> BaseException | None:
    return error.__cause__ if isinstance(error, StageFailed) else None


def _peek(tasks: Iterable[Task[Any]] | None) -> tuple[Task[Any] | None, Iterable[Task[Any]] | None]:
    """Return the first task, for checks, and all of them; nothing where there are none."""
    iterator = iter(tasks or ())
    first = next(iterator, None)
    return first, None if first is None else itertools.chain([first], iterator)


def _caller() -> str:
    """Return ``file:line`` of the code outside this package that called into it."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
