"""How many actors a pool of one stage has, for code that makes such a pool itself."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from nemo_curator.backends.cluster.nodes import Node, alive_nodes
from nemo_curator.backends.ray_actor_pool.executor import ActorPoolOptions, _usable
from nemo_curator.engine.compile import compile_plan
from nemo_curator.engine.plan import PlannedStage
from nemo_curator.errors import CapacityError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.utils.ray_utils import connected_ray

__all__ = ["actors_for", "calculate_optimal_actors_for_stage"]

_log = logging.getLogger(__name__)

# Three tenths of a CPU are three times a tenth, whatever floats make of it.
_ROUNDING = 1e-9


def calculate_optimal_actors_for_stage(
    stage: ProcessingStage[Any, Any],
    num_tasks: int,
    reserved_cpus: float = 0.0,
    reserved_gpus: float = 0.0,
    ignore_head_node: bool = False,
) -> int:
    """Return how many actors of a stage are worth having now, on what nobody has reserved.

    `RayActorPoolExecutor` itself has workers that change between stages, and does not ask.

    Args:
        stage: The stage.
        num_tasks: Tasks that it will get.
        reserved_cpus: CPUs of the cluster that are left to others.
        reserved_gpus: GPUs, likewise.
        ignore_head_node: Leave the head node out.

    Raises:
        CapacityError: Not even one fits.
        ClusterError: This process is not connected to a cluster.
    """
    nodes = alive_nodes(connected_ray(), ignore_head=ignore_head_node)
    reserved = ActorPoolOptions(reserved_cpus=reserved_cpus, reserved_gpus=reserved_gpus)
    return actors_for(stage, num_tasks, _usable(nodes, reserved))


def actors_for(stage: ProcessingStage[Any, Any], num_tasks: int, nodes: Sequence[Node]) -> int:
    """Return how many actors of a stage are worth having on what is free on these nodes: one for every batch, as far as they fit.

    A number that the stage fixes is kept, as far as so many fit.

    Raises:
        CapacityError: Not even one fits.
    """
    planned = compile_plan([stage], first_task=object()).stages[0]
    room = sum(_room(planned, node) for node in nodes)
    if room < 1:
        message = (
            f"stage {planned.name!r} asks for {planned.cpus:g} CPUs and {planned.shape.gpus:g} GPUs for an actor, and on none of "
            f"{len(nodes)} nodes are so many free now; ask for less (with_(resources=...)), or wait for others"
        )
        raise CapacityError(message)
    wanted = _fixed(planned, len(nodes))
    if wanted is None:
        return max(1, min(math.ceil(num_tasks / planned.batch_size), int(min(room, max(num_tasks, 1)))))
    if wanted > room:
        _log.warning("stage %r fixes %d workers, and %d fit now; it gets those", planned.name, wanted, int(room))
    return int(min(wanted, room))


def _room(planned: PlannedStage, node: Node) -> float:
    """Return how many actors fit on a node: endlessly many if they need nothing."""
    needs = ((planned.cpus, node.free_cpus), (planned.shape.gpus, node.free_gpus))
    return min((math.floor(free / need + _ROUNDING) for need, free in needs if need > 0), default=math.inf)


def _fixed(planned: PlannedStage, nodes: int) -> int | None:
    per_node = planned.num_workers_per_node
    return planned.num_workers if per_node is None else max(1, math.ceil(per_node * nodes))
