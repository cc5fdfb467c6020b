"""`ProcessingStage` and `CompositeStage`: what users write."""

from __future__ import annotations

import copy
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Generic, Self, TypeVar, cast, final

from nemo_curator.errors import did_you_mean
from nemo_curator.stages.fanout import returns_many
from nemo_curator.stages.meta import _STAGE_REGISTRY as _STAGE_REGISTRY  # pyright: ignore[reportPrivateUsage] - the contract names it
from nemo_curator.stages.meta import StageMeta, get_stage_class
from nemo_curator.stages.notes import StageNotes
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.retries import Retries
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import Task

__all__ = [
    "CompositeStage",
    "ProcessingStage",
    "StageInputSpec",
    "StageInputSpecs",
    "StageMeta",
    "Topology",
    "get_stage_class",
]

_log = logging.getLogger(__name__)

X = TypeVar("X", bound="Task[Any]")
Y = TypeVar("Y", bound="Task[Any]")

StageInputSpec = tuple[list[str], list[str]]
"""Names of task attributes and names of data columns."""
StageInputSpecs = StageInputSpec | dict[type[Task[Any]], StageInputSpec]
"""One spec for every task type, or one for each."""

_UNSET: Any = object()


class Topology(StrEnum):
    """How a stage meets its stream.

    Attributes:
        STREAM: Tasks pass in batches as they come.
        BARRIER: `process_batch` is called once, in one worker, with everything that came, in the order of task ids (in
            stream order when the run preserves order). It is not called for an empty stream.
    """

    STREAM = "stream"
    BARRIER = "barrier"


class ProcessingStage(StageNotes, ABC, Generic[X, Y], metaclass=StageMeta):
    """One step of a pipeline: takes a task, returns a task, several, or none.

    A stage must be picklable once it is built; what is not (models, connections, open files) is made in `setup`. Any call may
    be repeated on another worker after a crash, so a stage's visible effects must be the same when done twice.

    Attributes:
        name: Name in plans, reports and messages; made unique in a pipeline. A plain attribute or dataclass field.
        resources: What one worker needs.
        batch_size: Tasks per call of `process_batch`; `None` lets the engine choose (1).
        runtime_env: Environment of this stage's workers, in Ray's terms.
        is_source_stage: Its outputs are the units of progress. By default the first stage of a pipeline.
        is_sink_stage: Its outputs are the pipeline's. By default the last stage.
        is_resumable: Its outputs can be attributed to sources, so that a run can be continued.
        timeout_s: Seconds that one call of `process` or `process_batch` (or one step of an iterator that `process` returned) may
            take. When they are over the worker is killed, whatever it is doing; a batch is then tried task by task, and the task
            that took too long has failed. `None` for any time.
        retries: How often and when a task that raised is tried again; `None` leaves it to the run.
        topology: Whether the stage sees its stream in batches or all at once.
        outputs_are_complete: `outputs()` names every column that the stage adds or, when it makes a new kind of task, every
            column there is. Then a later stage's missing column is found before the run.
    """

    _is_abstract_root: ClassVar[bool] = True

    name: str = "ProcessingStage"
    resources: Resources = Resources(cpus=1.0)
    batch_size: int | None = 1
    runtime_env: dict[str, Any] | None = None
    is_source_stage: bool = False
    is_sink_stage: bool = False
    is_resumable: bool = True
    timeout_s: float | None = None
    retries: Retries | None = None
    topology: Topology = Topology.STREAM
    outputs_are_complete: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        for name in ("name", "resources", "batch_size"):
            if f"_{name}" in own:
                message = f"{cls.__name__} defines _{name}, which is read-only; set {name!r} instead"
                raise TypeError(message)
        for name in ("name", "resources", "batch_size", "runtime_env"):
            if isinstance(own.get(name), property):
                message = f"{cls.__name__}.{name} is a property; make it a class attribute or a dataclass field"
                raise TypeError(message)
        for name in ("num_workers", "num_workers_per_node"):
            annotated = name in own.get("__annotations__", {})
            if annotated or (name in own and not callable(own[name])):
                message = f"{cls.__name__}.{name} must stay a method that returns a number or None"
                raise TypeError(message)

    # What a user writes

    @abstractmethod
    def process(self, task: X) -> Y | list[Y] | Iterator[Y] | None:
        """Turn one task into one, several or none. Worker side, once for every task and attempt.

        A list gives several tasks; an iterator too, and it is consumed lazily, so that a million outputs never stand in
        memory at once. `None` (or `NoneTask(reason=...)`) drops the task. Raise to fail; raise `TransientError` if another
        attempt may succeed.
        """

    def process_batch(self, tasks: list[X]) -> list[Any]:
        """Turn `batch_size` tasks into outputs at once. Worker side; override it where working on many is faster.

        The result is read by its length. As long as the input: element k is what became of task k (a task, a list of tasks,
        or `None`). Any other length: the outputs belong to the whole group. Not overridden, the engine calls `process` for
        each task instead, so that every output knows its parent.
        """
        results: list[Any] = []
        for task in tasks:
            if not self.validate_input(task):
                message = f"stage {self.name!r} cannot take task {task.task_id or task!r}: {self.explain_invalid(task)}"
                raise ValueError(message)
            result = self.process(task)
            if isinstance(result, (list, Iterator)):
                results.extend(cast("list[Any]", result))
            else:
                results.append(result)
        return results

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Prepare a machine: downloads, caches. Worker side, once per stage and node, before any `setup` there."""

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Prepare a worker: load models, open connections. Worker side, once per worker, before its first task."""

    def teardown(self) -> None:
        """Release what `setup` acquired. Worker side, once for every entered `setup`, also after failures.

        Bounded in time, and not called if the worker is killed: never commit output here.
        """

    def check_before_run(self) -> None:
        """Look whether the run can succeed: inputs exist, outputs can be written. Driver side, once, before any worker starts.

        Must be quick (under a second) and change nothing. Raise a `CuratorError` whose message says what to do.
        """

    def check_before_resume(self) -> None:
        """Do the same before a run that goes on where another one, with the same checkpoint, was ended: its output is there."""
        self.check_before_run()

    def inputs(self) -> StageInputSpecs:
        """Return the task attributes and data columns that the stage needs; a dictionary where it depends on the type."""
        return [], []

    def outputs(self) -> StageInputSpec:
        """Return the task attributes and data columns that the stage adds."""
        return [], []

    def num_workers(self) -> int | None:
        """Return how many workers of the whole run may host this stage; `None` for as many as help."""
        return None

    def num_workers_per_node(self) -> float | None:
        """Return how many workers per node may host this stage; `None` for as many as help."""
        return None

    def xenna_stage_spec(self) -> dict[str, Any]:
        """Return options for the Xenna backend."""
        return {}

    def ray_stage_spec(self) -> dict[str, Any]:
        """Return options for the Ray backends."""
        return {"is_fanout_stage": self.is_fanout_stage()}

    # What the engine and the stage's own code call

    @property
    @final
    def _name(self) -> str:
        return self.name

    @property
    @final
    def _resources(self) -> Resources:
        return self.resources

    @property
    @final
    def _batch_size(self) -> int | None:
        return self.batch_size

    def input_spec_for_task(self, task: Task[Any]) -> StageInputSpec:
        """Return the spec that applies to this task: of a dictionary, the entry of the most specific type.

        Raises:
            TypeError: `inputs()` returns something else, or has no entry for the task's type.
        """
        specs: Any = self.inputs()
        label = "inputs()"
        if isinstance(specs, dict):
            by_type = cast("dict[type, Any]", specs)
            kind = next((base for base in type(task).mro() if base in by_type), None)
            if kind is None:
                supported = ", ".join(sorted(known.__name__ for known in by_type))
                message = f"stage {self.name!r} does not take {type(task).__name__}; it takes: {supported}"
                raise TypeError(message)
            specs, label = by_type[kind], f"inputs()[{kind.__name__}]"
        if not isinstance(specs, tuple) or len(cast("tuple[Any, ...]", specs)) != 2:
            message = f"{label} of stage {self.name!r} must be a pair (attributes, columns), got {specs!r}"
            raise TypeError(message)
        return cast("StageInputSpec", specs)

    def validate_input(self, task: Task[Any]) -> bool:
        """Say whether the task has what `inputs()` asks for. The engine calls it before `process` and `process_batch`."""
        problem = self.explain_invalid(task)
        if problem:
            _log.error("stage %r cannot take task %s: %s", self.name, task.task_id or repr(task), problem)
        return not problem

    def explain_invalid(self, task: Task[Any]) -> str:
        """Return what the task lacks, as half a sentence; nothing when it lacks nothing."""
        try:
            attributes, columns = self.input_spec_for_task(task)
        except TypeError as error:
            return str(error)
        lacking = [name for name in attributes if not hasattr(task, name)]
        if lacking:
            return f"{type(task).__name__} has no attribute {', '.join(map(repr, lacking))}"
        if not columns:
            return ""
        present = _columns_of(task)
        lacking = [name for name in columns if name not in present and (present or not hasattr(task.data, name))]
        if lacking:
            there = ", ".join(sorted(present)) or "none"
            return f"its data has no column {', '.join(map(repr, lacking))}; it has: {there}"
        return ""

    def supports_batch_processing(self) -> bool:
        """Say whether the stage works on batches, that is, overrides `process_batch`."""
        return getattr(type(self), "process_batch", None) is not ProcessingStage.process_batch  # pyright: ignore[reportUnknownMemberType]

    def is_fanout_stage(self) -> bool:
        """Say whether `process` is annotated to return several tasks."""
        return returns_many(type(self).process)

    def get_config(self) -> dict[str, Any]:
        """Return name, resources, batch size and whether the stage works on batches."""
        return {
            "name": self.name,
            "resources": self.resources,
            "batch_size": self.batch_size,
            "supports_batch_processing": self.supports_batch_processing(),
        }

    def with_(
        self,
        name: str | None = None,
        resources: Resources | None = None,
        batch_size: int | None = None,
        runtime_env: dict[str, Any] | None = None,
        ray_stage_spec: Mapping[str, Any] | None = None,
        xenna_stage_spec: Mapping[str, Any] | None = None,
        num_workers: int | None = _UNSET,
        num_workers_per_node: float | None = _UNSET,
        timeout_s: float | None = None,
        retries: Retries | None = None,
    ) -> Self:
        """Return a deep copy with other settings; this stage stays as it is.

        `None` means "as it is", but for the worker counts, where it means "as the engine sees fit". The two spec dictionaries
        are merged over the present ones.
        """
        changed = copy.deepcopy(self)
        plain = {
            "name": name,
            "resources": resources,
            "batch_size": batch_size,
            "runtime_env": runtime_env,
            "timeout_s": timeout_s,
            "retries": retries,
        }
        for attribute, value in plain.items():
            if value is not None:
                setattr(changed, attribute, value)
        if xenna_stage_spec and "num_workers" in xenna_stage_spec:
            message = "xenna_stage_spec cannot hold num_workers; use with_(num_workers=...)"
            raise ValueError(message)
        for method, spec in (("ray_stage_spec", ray_stage_spec), ("xenna_stage_spec", xenna_stage_spec)):
            if spec is not None:
                merged = {**getattr(self, method)(), **spec}
                vars(changed)[method] = _Constant(merged)
        for method, count in (("num_workers", num_workers), ("num_workers_per_node", num_workers_per_node)):
            if count is not _UNSET:
                vars(changed)[method] = _Constant(count)
        changed._check_worker_counts()
        return changed

    def _check_worker_counts(self) -> None:
        total, per_node = self.num_workers(), self.num_workers_per_node()
        if total is not None and per_node is not None:
            message = f"stage {self.name!r} fixes both num_workers and num_workers_per_node; fix one of them"
            raise ValueError(message)

    def __repr__(self) -> str:
        return type(self).__name__


class _Constant:
    """A method that returns a fixed value, picklable where a closure is not."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __call__(self) -> Any:
        return copy.copy(self._value)


def _columns_of(task: Task[Any]) -> list[str]:
    get_columns = cast("Callable[[], list[str]] | None", getattr(task, "get_columns", None))
    if callable(get_columns):
        return get_columns()
    return list(getattr(task.data, "column_names", ()))


class CompositeStage(ProcessingStage[X, Y], ABC):
    """A name for several stages in a row. A pipeline replaces it by them before anything runs.

    A dataclass composite calls ``super().__init__()`` in its ``__post_init__``.
    """

    _is_abstract_root: ClassVar[bool] = True

    def __init__(self) -> None:
        self._with_operations: list[dict[str, dict[str, Any]]] = []

    @abstractmethod
    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        """Return the stages that this one stands for; composites among them are expanded in turn."""

    def with_(self, stage_settings: Mapping[str, Mapping[str, Any]]) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return a copy whose sub-stages get other settings: ``{sub-stage name: {setting: value}}``.

        Settings are those of `ProcessingStage.with_`. Several calls apply in order; a later one sees earlier renames.
        """
        changed = copy.deepcopy(self)
        operations = {name: dict(settings) for name, settings in stage_settings.items()}
        changed._with_operations = [*self._pending(), operations]
        return changed

    def decompose_and_apply_with(self) -> list[ProcessingStage[Any, Any]]:
        """Return the sub-stages with all settings applied.

        Raises:
            ValueError: Sub-stages share a name, or a setting is for a sub-stage that does not exist.
        """
        stages = list(self.decompose())
        for operation in self._pending():
            names = [stage.name for stage in stages]
            if len(set(names)) != len(names):
                message = f"composite {self.name!r}: with_ needs sub-stages of different names, got {names}"
                raise ValueError(message)
            for name in operation:
                if name not in names:
                    message = f"composite {self.name!r} has no sub-stage {name!r}; it has: {', '.join(names)}.{did_you_mean(name, names)}"
                    raise ValueError(message)
            stages = [stage.with_(**operation[stage.name]) if stage.name in operation else stage for stage in stages]
        return stages

    def inputs(self) -> StageInputSpecs:
        """Return what the first sub-stage needs."""
        return self.decompose()[0].inputs()

    def outputs(self) -> StageInputSpec:
        """Return what the last sub-stage adds."""
        return self.decompose()[-1].outputs()

    def process(self, task: X) -> Y | list[Y] | None:
        """Raise: a composite never runs itself."""
        message = f"composite stage {self.name!r} runs as its parts; add it to a pipeline, which expands it"
        raise RuntimeError(message)

    def get_description(self) -> str:
        """Return one line for plans."""
        return f"Composite stage: {self.name}"

    def _pending(self) -> list[dict[str, dict[str, Any]]]:
        return cast("list[dict[str, dict[str, Any]]]", vars(self).get("_with_operations", []))
