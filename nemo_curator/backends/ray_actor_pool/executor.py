"""`RayActorPoolExecutor`: our scheduler over the nodes of a Ray cluster."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from nemo_curator.backends.cluster.executor import ClusterExecutor, ClusterOptions
from nemo_curator.backends.cluster.nodes import Node, alive_nodes
from nemo_curator.backends.cluster.ray_specs import RayStageOptions, ray_stage_options
from nemo_curator.backends.ray_actor_pool.progress import LoggedProgress
from nemo_curator.engine.drive import check_capacity, drive
from nemo_curator.engine.fuse import fuse
from nemo_curator.engine.instructions import Capacity
from nemo_curator.engine.plan import ExecutionPlan, PlannedStage, most_busy
from nemo_curator.engine.session import Session
from nemo_curator.errors import CapacityError
from nemo_curator.stages.base import ProcessingStage

__all__ = ["ActorPoolOptions", "RayActorPoolExecutor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorPoolOptions(ClusterOptions):
    """What only this backend is told.

    Attributes:
        reserved_cpus: CPUs of the cluster that are left to others.
        reserved_gpus: GPUs of the cluster that are left to others.
        resource_wait_timeout_s: Seconds to wait for others to give CPUs and GPUs back, if the largest stage does not fit now.
        resource_wait_interval_s: Seconds between two looks.
    """

    reserved_cpus: float = 0.0
    reserved_gpus: float = 0.0
    resource_wait_timeout_s: float = 5.0
    resource_wait_interval_s: float = 0.2


class RayActorPoolExecutor(ClusterExecutor):
    """Runs a pipeline on a Ray cluster with our own scheduler: bundles are pulled, the last segment first.

    Args:
        config: Options by name, see `ActorPoolOptions` and `RunOptions`.
        ignore_head_node: Keep work off the head node.
        show_progress: Log a line about the run from time to time.
        progress_interval: Seconds between two of them.
        options: The same options as `config`, as keywords.

    Raises:
        OptionError: An option that nobody reads, or of the wrong kind.
    """

    name: ClassVar[str] = "ray_actor_pool"
    options_class: ClassVar[type[ClusterOptions]] = ActorPoolOptions
    cluster: ActorPoolOptions

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        ignore_head_node: bool = False,
        show_progress: bool = True,
        progress_interval: float = 10.0,
        **options: Any,
    ) -> None:
        super().__init__(config, ignore_head_node, **options)
        self.show_progress = show_progress
        self.progress_interval = progress_interval

    def plan(self, stages: Sequence[ProcessingStage[Any, Any]], **about: Any) -> ExecutionPlan:
        """Return the plan of these stages; of their `ray_stage_spec` it takes `max_workers`, as any worker hosts any segment."""
        plan = super().plan(stages, **about)
        specs = ray_stage_options(plan)
        planned = tuple(_as_specified(stage, specs[stage.index]) for stage in plan.stages)
        return replace(plan, stages=planned, segments=fuse(planned, enabled=self.options.fuse))

    def _session(self, plan: ExecutionPlan, changes: Mapping[str, Any], **arguments: Any) -> Session:
        if self.show_progress:
            arguments["observers"] = [*arguments.get("observers", ()), LoggedProgress(self.progress_interval)]
        return super()._session(plan, changes, **arguments)

    def _attempt(self, session: Session) -> Iterator[None]:
        from nemo_curator.backends.ray_actor_pool.pool import AgentPool

        with self._connected() as ray:
            nodes = self._wait_for_room(ray, session)
            capacity, reserve = _capacity(nodes, self.cluster, session.plan)
            pool = AgentPool(ray, session, nodes, self.cluster.runtime_env, reserve)
            yield from drive(session, pool, capacity)

    def _wait_for_room(self, ray: Any, session: Session) -> list[Node]:
        """Return the nodes once the largest stage fits on one.

        Raises:
            CapacityError: It does not, and will not, or not soon enough.
        """
        deadline = time.monotonic() + self.cluster.resource_wait_timeout_s
        while True:
            nodes = alive_nodes(ray, ignore_head=self.ignore_head_node)
            whole = [replace(node, free_cpus=node.cpus, free_gpus=node.gpus) for node in nodes]
            # What will never fit is told at once, also when others are here.
            check_capacity(session, _largest(whole, self.cluster))
            try:
                check_capacity(session, _largest(nodes, self.cluster))
            except CapacityError as error:
                if time.monotonic() > deadline:
                    others = (
                        "others have reserved the rest of the cluster; wait for them, or raise resource_wait_timeout_s"
                    )
                    message = f"{error}. That is what is free now: {others}"
                    raise CapacityError(message) from None
                time.sleep(self.cluster.resource_wait_interval_s)
                continue
            return nodes


def _as_specified(stage: PlannedStage, spec: RayStageOptions) -> PlannedStage:
    if spec.max_workers is None or stage.num_workers is not None or stage.num_workers_per_node is not None:
        return stage
    return replace(stage, num_workers=spec.max_workers)


def _devices(nodes: list[Node]) -> tuple[str, ...]:
    return tuple(f"{node.id}:{index}" for node in nodes for index in range(math.floor(node.free_gpus)))


def _less(values: list[float], reserved: float) -> list[float]:
    """Return values without what is left to others, taken from the fullest."""
    left = reserved
    for index in sorted(range(len(values)), key=values.__getitem__, reverse=True):
        taken = min(left, values[index])
        values[index] -= taken
        left -= taken
    return values


def _usable(nodes: list[Node], options: ActorPoolOptions) -> list[Node]:
    cpus = _less([node.free_cpus for node in nodes], options.reserved_cpus)
    gpus = _less([node.free_gpus for node in nodes], options.reserved_gpus)
    return [replace(node, free_cpus=c, free_gpus=g) for node, c, g in zip(nodes, cpus, gpus, strict=True)]


def _largest(nodes: list[Node], options: ActorPoolOptions) -> Capacity:
    """Return the capacity of the largest node: a stage must fit on one."""
    usable = _usable(nodes, options)
    cpus = max((node.free_cpus for node in usable), default=0.0)
    most = max(usable, key=lambda node: node.free_gpus, default=None)
    return Capacity(workers=1, cpus=cpus, gpus=() if most is None else _devices([most]))


def _capacity(
    nodes: list[Node], options: ActorPoolOptions, plan: ExecutionPlan
) -> tuple[Capacity, dict[str, tuple[float, int]]]:
    """Return what a run may use in all, and what of it is to be reserved on every node."""
    usable = _usable(nodes, options)
    cpus = sum(node.free_cpus for node in usable)
    reserve = {node.id: (node.free_cpus, math.floor(node.free_gpus)) for node in usable}
    workers = options.num_workers or most_busy(plan.segments, cpus, len(usable))
    capacity = Capacity(workers=workers, cpus=cpus, gpus=_devices(usable), nodes=len(usable), remote=True)
    return capacity, reserve
