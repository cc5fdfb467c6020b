"""The nodes of the Ray cluster that this process is connected to, and functions run on each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nemo_curator.errors import ClusterError, require

__all__ = [
    "connected_ray",
    "get_head_node_id",
    "is_head_node",
    "run_on_each_node",
    "submit_on_each_node",
    "submit_on_node",
]

_HEAD = "node:__internal_head__"

# Of the cluster that this process was connected to when somebody last asked.
_known_head: dict[tuple[str, ...], str] = {}


def connected_ray() -> Any:
    """Return the module `ray`, if this process is connected to a cluster.

    Raises:
        MissingExtra: Ray is not installed.
        ClusterError: It is not connected. No cluster is looked for or started.
    """
    require("ray", extra="ray", purpose="what asks about a Ray cluster")
    import ray  # pyright: ignore[reportMissingImports]

    if not ray.is_initialized():
        message = "this process is not connected to a Ray cluster; connect first, with ray.init(address=...)"
        raise ClusterError(message)
    return ray


def is_head_node(node: Mapping[str, Any]) -> bool:
    """Say whether an entry of `ray.nodes()` is the head node. A node that is gone has no resources left to know it by."""
    return _HEAD in node.get("Resources", {})


def get_head_node_id() -> str | None:
    """Return Ray's id of the head node; `None` if no node is. Ray is asked once for every connection to a cluster.

    Raises:
        ClusterError: This process is not connected to one.
    """
    return _head_node_id(connected_ray())


def _head_node_id(ray: Any) -> str | None:
    context = ray.get_runtime_context()
    # An address may be another cluster's later; older versions of Ray have no name for a session.
    session: str = context.get_session_name() if hasattr(context, "get_session_name") else ""
    connection = (context.gcs_address, session, context.get_job_id())
    if connection not in _known_head:
        _known_head.clear()
        for node in filter(is_head_node, ray.nodes()):
            _known_head[connection] = node["NodeID"]
    return _known_head.get(connection)


def submit_on_node(
    remote_fn: Any, node_id: str, *args: Any, num_cpus: float = 0, num_gpus: float = 0, **options: Any
) -> Any:
    """Submit a remote function to one node and to no other; return the reference to its result.

    Args:
        remote_fn: What `ray.remote` made of a function.
        node_id: Ray's id of the node. If it is gone, or too small, getting the result raises Ray's `TaskUnschedulableError`.
        args: Arguments of the function.
        num_cpus: CPUs to reserve; the call waits until they are free.
        num_gpus: GPUs, likewise.
        options: Other options of Ray.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # pyright: ignore[reportMissingImports]

    here = NodeAffinitySchedulingStrategy(node_id, soft=False)
    pinned = remote_fn.options(num_cpus=num_cpus, num_gpus=num_gpus, scheduling_strategy=here, **options)
    return pinned.remote(*args)


def submit_on_each_node(
    remote_fn: Any, *args: Any, ignore_head_node: bool = False, num_cpus: float = 0, num_gpus: float = 0
) -> list[Any]:
    """Submit a remote function once to every node that is alive; return the references, in the order of `ray.nodes()`.

    Args:
        remote_fn: What `ray.remote` made of a function.
        args: Arguments of the function, the same on every node.
        ignore_head_node: Leave the head node out.
        num_cpus: CPUs to reserve for each call, which waits until they are free.
        num_gpus: GPUs, likewise.

    Raises:
        ClusterError: This process is not connected to a cluster.
    """
    nodes = [
        node for node in connected_ray().nodes() if node["Alive"] and not (ignore_head_node and is_head_node(node))
    ]
    return [submit_on_node(remote_fn, node["NodeID"], *args, num_cpus=num_cpus, num_gpus=num_gpus) for node in nodes]


def run_on_each_node(
    remote_fn: Any, *args: Any, ignore_head_node: bool = False, num_cpus: float = 0, num_gpus: float = 0
) -> list[Any]:
    """Run a remote function once on every node that is alive, at the same time; return the results.

    Arguments are those of `submit_on_each_node`. Raises what Ray raises for the first call that failed.
    """
    refs = submit_on_each_node(
        remote_fn, *args, ignore_head_node=ignore_head_node, num_cpus=num_cpus, num_gpus=num_gpus
    )
    return connected_ray().get(refs)
