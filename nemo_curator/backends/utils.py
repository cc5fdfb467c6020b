"""Questions about the Ray cluster that this process is connected to, and what executors on Ray share with user code."""

from __future__ import annotations

import copy
import copyreg
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from nemo_curator.backends.base import BaseStageAdapter
from nemo_curator.backends.cluster.connection import connected
from nemo_curator.backends.cluster.nodes import Node, alive_nodes
from nemo_curator.backends.cluster.ray_specs import RayStageSpecKeys
from nemo_curator.engine.compile import compile_plan
from nemo_curator.engine.failure import one_line, user_traceback
from nemo_curator.engine.plan import PlannedStage, Segment
from nemo_curator.engine.shipping import ship, unship
from nemo_curator.errors import CapacityError, SetupFailed
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.utils.ray_utils import connected_ray, submit_on_node

__all__ = [
    "RayStageSpecKeys",
    "check_total_gpu_capacity",
    "execute_setup_on_node",
    "get_available_cpu_gpu_resources",
    "get_worker_metadata_and_node_id",
    "merge_executor_configs",
    "register_loguru_serializer",
    "warn_on_env_var_override",
]

_log = logging.getLogger(__name__)

# What actors had that have just ended is reported as free a little later.
_SETTLE_SECONDS = 0.2


# Configurations


def merge_executor_configs(base: Mapping[str, Any] | None, override: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a configuration of both, dictionaries within merged in turn. Neither is changed, nor shared with the result.

    Args:
        base: A configuration.
        override: Another, whose values win.
    """
    merged = copy.deepcopy(dict(base or {}))
    for key, value in (override or {}).items():
        mine = merged.get(key)
        both = isinstance(mine, Mapping) and isinstance(value, Mapping)
        merged[key] = merge_executor_configs(mine, value) if both else copy.deepcopy(value)
    return merged


def warn_on_env_var_override(existing: Mapping[str, Any] | None, merged: Mapping[str, Any] | None) -> None:
    """Log a warning for every variable of ``runtime_env.env_vars`` that has another value in `merged` than in `existing`."""
    after = _env_vars(merged)
    for name, value in _env_vars(existing).items():
        if name in after and after[name] != value:
            message = "the environment variable %s of workers is %r in runtime_env, and is overridden with %r"
            _log.warning(message, name, value, after[name])


def _env_vars(config: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return ((config or {}).get("runtime_env") or {}).get("env_vars") or {}


# The cluster


def get_worker_metadata_and_node_id() -> tuple[NodeInfo, WorkerMetadata]:
    """Return node and worker that this code runs on, by Ray's ids of them.

    Raises:
        ClusterError: This process is not connected to a cluster.
    """
    context = connected_ray().get_runtime_context()
    return NodeInfo(node_id=context.get_node_id()), WorkerMetadata(worker_id=context.get_worker_id())


def get_available_cpu_gpu_resources(
    init_and_shutdown: bool = False, ignore_head_node: bool = False
) -> tuple[float, float]:
    """Return how many CPUs and GPUs of the cluster nobody has reserved now. It takes a fifth of a second, so that the answer is true.

    Args:
        init_and_shutdown: Connect for the question if this process is not connected: to `RAY_ADDRESS`, or to a cluster that is started for
            it. A connection that is there stays.
        ignore_head_node: Leave out what is free on the head node.

    Raises:
        ClusterError: This process is not connected, and shall not connect.
    """
    if not init_and_shutdown:
        return _available(connected_ray(), ignore_head_node=ignore_head_node)
    with connected(None) as ray:
        return _available(ray, ignore_head_node=ignore_head_node)


def _available(ray: Any, *, ignore_head_node: bool) -> tuple[float, float]:
    time.sleep(_SETTLE_SECONDS)
    free = ray.available_resources()
    cpus, gpus = free.get("CPU", 0.0), free.get("GPU", 0.0)
    for node in alive_nodes(ray, ignore_head=False) if ignore_head_node else ():
        if node.head:
            cpus, gpus = cpus - node.free_cpus, gpus - node.free_gpus
    return max(0.0, cpus), max(0.0, gpus)


def check_total_gpu_capacity(n: int, *, ignore_head_node: bool = False) -> None:
    """Raise unless the nodes of the cluster have `n` GPUs together, reserved ones included.

    Args:
        n: GPUs that are needed.
        ignore_head_node: Leave those of the head node out.

    Raises:
        RuntimeError: There are fewer.
        ClusterError: This process is not connected to a cluster.
    """
    available = sum(node.gpus for node in alive_nodes(connected_ray(), ignore_head=ignore_head_node))
    if available < n:
        where = "the cluster without its head node" if ignore_head_node else "the cluster"
        message = f"{n} GPUs are needed, and {where} has {available} available; add nodes with GPUs, or ask for fewer"
        raise RuntimeError(message)


# Stages


def execute_setup_on_node(stages: Sequence[ProcessingStage[Any, Any]], ignore_head_node: bool = False) -> None:
    """Call `setup_on_node` of every stage that has one, once on every node where the stage fits, and wait for all of them.

    Executors of this package need no such call: there the first worker of a node prepares it. Each call is a Ray task that reserves what a
    worker of the stage needs, so it waits until that is free, and has the stage's runtime environment. When one has failed the others are
    given up.

    Args:
        stages: The stages; composites stand for their parts.
        ignore_head_node: Leave the head node out.

    Raises:
        CapacityError: A stage fits on no node.
        UnpicklableError: A stage cannot travel.
        SetupFailed: A stage's `setup_on_node` raised, or its process died.
        ClusterError: This process is not connected to a cluster.
    """
    ray = connected_ray()
    nodes = alive_nodes(ray, ignore_head=ignore_head_node)
    segments = [segment for stage in stages for segment in _alone(stage) if _prepares(segment.stages[0])]
    plan = [(segment.stages[0], ship(segment), _fitting(segment.stages[0], nodes)) for segment in segments]
    prepare = ray.remote(_prepare_node)
    calls: list[tuple[PlannedStage, Any]] = []
    try:
        for planned, shipped, fitting in plan:
            shape = planned.shape
            options = {"runtime_env": json.loads(shape.runtime_env)} if shape.runtime_env else {}
            for node in fitting:
                ref = submit_on_node(prepare, node.id, shipped, num_cpus=planned.cpus, num_gpus=shape.gpus, **options)
                calls.append((planned, ref))
        for planned, ref in calls:
            _expect(ray, planned, ref)
    except BaseException:
        for _, ref in calls:
            ray.cancel(ref)
        raise


def _alone(stage: ProcessingStage[Any, Any]) -> tuple[Segment, ...]:
    """Return a segment for the stage, or for every part of it."""
    return compile_plan([stage], first_task=object(), fuse_stages=False).segments


def _prepares(planned: PlannedStage) -> bool:
    return type(planned.stage).setup_on_node is not ProcessingStage.setup_on_node


def _fitting(planned: PlannedStage, nodes: Sequence[Node]) -> list[Node]:
    fitting = [node for node in nodes if node.cpus >= planned.cpus and node.gpus >= planned.shape.gpus]
    if not fitting:
        message = (
            f"stage {planned.name!r} asks for {planned.cpus:g} CPUs and {planned.shape.gpus:g} GPUs, and none of the {len(nodes)} nodes "
            "that may be used has them; ask for less (with_(resources=...)), or add a node"
        )
        raise CapacityError(message)
    return fitting


def _prepare_node(shipped: bytes) -> SetupFailed | None:
    """Call `setup_on_node` on this node; return what went wrong, in a form that travels whatever the error is like."""
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    try:
        planned = unship(shipped).stages[0]
    except SetupFailed as error:
        return error
    adapter = BaseStageAdapter(planned.stage)
    try:
        adapter.setup_on_node(*get_worker_metadata_and_node_id())
    except Exception as error:  # user code may raise anything
        frame, details = user_traceback(error)
        cause = f"{one_line(error)}{f', raised at {frame}' if frame else ''}"
        return SetupFailed(planned.name, planned.declared_at, "setup_on_node", cause, details)
    return None


def _expect(ray: Any, planned: PlannedStage, ref: Any) -> None:
    """Wait for a call; raise what went wrong."""
    try:
        problem = ray.get(ref)
    except ray.exceptions.RayError as error:
        raise SetupFailed(planned.name, planned.declared_at, "setup_on_node", one_line(error)) from error
    if problem is not None:
        # What cannot be unpickled does not know its own name.
        raise SetupFailed(planned.name, planned.declared_at, problem.step, problem.cause, problem.details)


# Logging


def register_loguru_serializer() -> None:
    """Let loggers of loguru travel in whatever this process pickles: where they arrive they are that process's own logger.

    Such a logger holds open streams, so stages and closures that refer to one cannot be pickled before. Bound values stay behind. Does
    nothing where loguru is not installed; may be called any number of times.
    """
    if find_spec("loguru") is None:
        return
    from loguru import logger  # pyright: ignore[reportMissingImports]

    # The one table that every pickler reads: Python's, cloudpickle's, and the copy of it inside Ray.
    copyreg.pickle(type(logger), _reduce_logger)


def _reduce_logger(_: Any) -> tuple[Any, ...]:
    return _local_logger, ()


def _local_logger() -> Any:
    from loguru import logger  # pyright: ignore[reportMissingImports]

    return logger
