"""`Pipeline`: stages in a row, run by any executor."""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.engine.compile import not_a_stage
from nemo_curator.engine.explain import explain_plan
from nemo_curator.engine.hooks import Observer
from nemo_curator.engine.ids import assign_root_task_ids
from nemo_curator.engine.plan import ExecutionPlan
from nemo_curator.engine.report import RunReport
from nemo_curator.errors import ConservationError, CuratorError, OptionError, StageFailed
from nemo_curator.pipeline.describe import describe_pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import Task

__all__ = ["Pipeline", "assign_root_task_ids"]

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
        self._plan(_default_executor(), None)
        return self

    def describe(self) -> str:
        """Return the stages with their resources, inputs and outputs as text. Checks nothing."""
        return describe_pipeline(self.name, self.description, self.stages)

    def explain(self, executor: BaseExecutor | None = None, initial_tasks: Sequence[Task[Any]] | None = None) -> str:
        """Return what a run would do, as text: what runs together, what does not and why, and with what.

        Raises:
            PlanError: It cannot run as it is written.
        """
        executor = executor or _default_executor()
        return explain_plan(self._plan(executor, initial_tasks[0] if initial_tasks else None), executor.name)

    def run(
        self,
        executor: BaseExecutor | None = None,
        initial_tasks: Iterable[Task[Any]] | None = None,
        checkpoint_path: str | None = None,
        *,
        return_outputs: bool | None = None,
        observers: Iterable[Observer] = (),
    ) -> list[Task[Any]] | None:
        """Run the pipeline and return the tasks of its last stage, in no particular order.

        Args:
            executor: Where to run; this machine's processes when not given.
            initial_tasks: Tasks to start from, consumed as there is room; one `EmptyTask` when there are none.
            checkpoint_path: Where a run notes what is finished. Not available yet in this version: refused.
            return_outputs: Whether to bring the tasks back; as the executor is set when not given. Without, the list is empty.
            observers: Are told what happens while it runs.

        Raises:
            CuratorError: The run could not start, or ended early. `last_report` says how far it came.
        """
        try:
            return self._run(executor or _default_executor(), initial_tasks, checkpoint_path, return_outputs, observers)
        except ConservationError:
            raise
        except CuratorError as error:
            # The message says what there is to say. How the engine got there helps nobody at three in the morning.
            _log.debug("pipeline %r failed", self.name, exc_info=True)
            cause = error.__cause__ if isinstance(error, StageFailed) else None
            raise error.with_traceback(None) from cause

    def _run(
        self,
        executor: object,
        initial_tasks: Iterable[Task[Any]] | None,
        checkpoint_path: str | None,
        return_outputs: bool | None,
        observers: Iterable[Observer],
    ) -> list[Task[Any]]:
        if checkpoint_path is not None:
            message = f"pipeline {self.name!r}: this version cannot resume runs yet; leave checkpoint_path out"
            raise OptionError(message)
        if not isinstance(executor, BaseExecutor):
            message = f"pipeline {self.name!r}: executor must be an executor such as LocalExecutor(), got {executor!r}"
            raise TypeError(message)
        first, tasks = _peek(initial_tasks)
        plan = self._plan(executor, first)
        changes = {} if return_outputs is None else {"return_outputs": return_outputs}
        try:
            session = executor.run(plan, initial_tasks=tasks, observers=observers, **changes)
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


def _default_executor() -> BaseExecutor:
    from nemo_curator.backends.registry import make_executor

    return make_executor("local")


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
