"""What stages say about their workers on Ray: the keys of `ray_stage_spec()`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nemo_curator.engine.options import Options
from nemo_curator.engine.plan import ExecutionPlan, PlannedStage
from nemo_curator.errors import OptionError, PlanError

__all__ = ["RayStageOptions", "RayStageSpecKeys", "ray_stage_options"]

_OURS = ("compute", "max_calls", "num_cpus", "num_gpus")


class RayStageSpecKeys(StrEnum):
    """Keys that a stage may use; plain strings do as well."""

    IS_ACTOR_STAGE = "is_actor_stage"
    IS_FANOUT_STAGE = "is_fanout_stage"
    IS_RAFT_ACTOR = "is_raft_actor"
    IS_LSH_STAGE = "is_lsh_stage"
    IS_SHUFFLE_STAGE = "is_shuffle_stage"
    MAX_CALLS_PER_WORKER = "max_calls_per_worker"
    MIN_WORKERS = "min_workers"
    MAX_WORKERS = "max_workers"
    INITIAL_WORKERS = "initial_workers"
    RAY_REMOTE_ARGS = "ray_remote_args"
    RAY_NUM_CPUS = "ray_num_cpus"


@dataclass(frozen=True, slots=True, kw_only=True)
class RayStageOptions(Options):
    """Values of these keys.

    Attributes:
        is_actor_stage: Keep its workers for the whole run; `None`: if it has a `setup` or wants GPUs.
        is_fanout_stage: One task may become several.
        is_raft_actor: A collective of GPU workers over RAFT.
        is_lsh_stage: A shuffle that is repeated for bands of hashes.
        is_shuffle_stage: A shuffle.
        max_calls_per_worker: Calls after which a worker process of a task stage is replaced.
        min_workers: Workers that an actor stage has at least.
        max_workers: Workers that an actor stage has at most.
        initial_workers: Workers that an actor stage begins with.
        ray_remote_args: Options of Ray for its workers.
        ray_num_cpus: CPUs that Ray reserves for a worker, if not those of its resources.
    """

    is_actor_stage: bool | None = None
    is_fanout_stage: bool = False
    is_raft_actor: bool = False
    is_lsh_stage: bool = False
    is_shuffle_stage: bool = False
    max_calls_per_worker: int | None = None
    min_workers: int | None = None
    max_workers: int | None = None
    initial_workers: int | None = None
    ray_remote_args: dict[str, Any] = field(default_factory=dict[str, Any])
    ray_num_cpus: float | None = None

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        for name in ("max_calls_per_worker", "min_workers", "max_workers", "initial_workers"):
            if getattr(self, name) is not None:
                self._require_positive(name)
        low, high = self.min_workers or 1, self.max_workers
        self._require("max_workers", holds=high is None or high >= low, wanted=f"at least min_workers={low}")
        first = self.initial_workers
        fits = first is None or (first >= low and (high is None or first <= high))
        self._require("initial_workers", holds=fits, wanted="a number from min_workers to max_workers")
        taken = sorted(set(self.ray_remote_args) & set(_OURS))
        self._require(
            "ray_remote_args", holds=not taken, wanted=f"free of {', '.join(taken)}, which have keys of their own"
        )

    @property
    def sizes(self) -> bool:
        """Whether it says how many workers there shall be."""
        return any(number is not None for number in (self.min_workers, self.max_workers, self.initial_workers))


def ray_stage_options(plan: ExecutionPlan) -> dict[int, RayStageOptions]:
    """Return the options of every stage, by index.

    Raises:
        PlanError: A stage is a collective of GPU workers.
        OptionError: A stage has a key that nobody reads, or a value of the wrong kind, or one that contradicts another.
    """
    return {stage.index: _read(stage) for stage in plan.stages}


def _read(planned: PlannedStage) -> RayStageOptions:
    spec: Mapping[Any, Any] = planned.stage.ray_stage_spec()
    where = f"ray_stage_spec() of stage {planned.name!r} (added at {planned.declared_at})"
    options = RayStageOptions.parse({str(key): value for key, value in spec.items()}, where=where)
    if options.is_raft_actor or options.is_lsh_stage or options.is_shuffle_stage:
        message = (
            f"stage {planned.name!r} (added at {planned.declared_at}) is a collective of GPU workers (is_raft_actor, is_lsh_stage or "
            "is_shuffle_stage), which this version does not run; a stage with topology = Topology.BARRIER sees its whole stream at once"
        )
        raise PlanError(message)
    fixed = planned.num_workers if planned.num_workers is not None else planned.num_workers_per_node
    if options.sizes and fixed is not None:
        message = f"{where} sizes its workers, but the stage fixes their number ({fixed:g}); do one of the two"
        raise OptionError(message)
    return options
