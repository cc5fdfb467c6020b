"""The nodes of a Ray cluster, and what a run may use of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nemo_curator.utils.ray_utils import is_head_node

__all__ = ["Node", "alive_nodes"]


@dataclass(frozen=True, slots=True)
class Node:
    """A node.

    Attributes:
        id: Ray's id of it.
        cpus: CPUs that it has.
        free_cpus: Those of them that nobody has reserved now.
        gpus: GPUs that it has.
        free_gpus: Those that nobody has reserved now.
        memory_bytes: Memory that Ray says may be asked for.
        head: It is the head node.
    """

    id: str
    cpus: float
    free_cpus: float
    gpus: int
    free_gpus: float
    memory_bytes: int
    head: bool


def alive_nodes(ray: Any, *, ignore_head: bool) -> list[Node]:
    """Return the nodes that work may go to.

    Args:
        ray: The module, connected.
        ignore_head: Leave the head node out.
    """
    free = _free_by_node(ray)
    found: list[Node] = []
    for entry in ray.nodes():
        head = is_head_node(entry)
        if not entry["Alive"] or (head and ignore_head):
            continue
        has: dict[str, float] = entry["Resources"]
        left = free.get(entry["NodeID"], has)
        found.append(
            Node(
                id=entry["NodeID"],
                cpus=has.get("CPU", 0.0),
                free_cpus=left.get("CPU", 0.0),
                gpus=math.floor(has.get("GPU", 0.0)),
                free_gpus=left.get("GPU", 0.0),
                memory_bytes=int(has.get("memory", 0)),
                head=head,
            )
        )
    return found


def _free_by_node(ray: Any) -> dict[str, dict[str, float]]:
    """Return what is free on every node; nothing where this version of Ray does not say."""
    ask = getattr(getattr(ray, "_private", None), "state", None)
    ask = getattr(ask, "available_resources_per_node", None)
    return {} if ask is None else ask()
