"""Ending what Xenna leaves behind: actors that Ray calls dead, and whose processes go on."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from pathlib import Path
from typing import Any

from nemo_curator.errors import ClusterError

__all__ = ["end_leftovers"]

_log = logging.getLogger(__name__)

# Its actors, in the versions that this backend runs on.
_ITS_ACTORS = frozenset({"NodeResourceMonitor", "StageWorker", "StageWorkerGroup", "ResourceMonitor"})
_SECONDS = 10.0


def end_leftovers(ray: Any, before: set[str]) -> None:
    """End the processes of Xenna's actors of this job that are not over yet; nothing is lost with them.

    Args:
        ray: The module, connected.
        before: Ids of actors that were there before the run.
    """
    here = ray.get_runtime_context().get_node_id()
    elsewhere: dict[str, list[int]] = {}
    for actor in known_actors(ray):
        if actor.actor_id in before or actor.class_name not in _ITS_ACTORS or not actor.pid:
            continue
        if actor.node_id in (here, None):
            end(actor.pid)
        else:
            elsewhere.setdefault(actor.node_id, []).append(actor.pid)
    if elsewhere:
        _end_elsewhere(ray, elsewhere)


def known_actors(ray: Any) -> list[Any]:
    """Return the actors of this process's job, as Ray's state API tells them. Xenna asks it the same way, and needs an answer.

    Raises:
        ClusterError: It does not answer, or not as many as Xenna asks for.
    """
    from ray.util.state import list_actors

    job = ray.get_runtime_context().get_job_id()
    try:
        return list_actors(
            filters=[("job_id", "=", job)], limit=20_000, timeout=int(_SECONDS), raise_on_missing_output=False
        )
    except Exception as error:  # whatever the state API raises when it does not answer
        message = (
            "Xenna asks Ray's state API about its workers, and this cluster does not answer as it needs; start the cluster with its dashboard "
            "(ray[default] installed, include_dashboard=True), and with RAY_MAX_LIMIT_FROM_API_SERVER=40000 and "
            f"RAY_MAX_LIMIT_FROM_DATA_SOURCE=40000 in its environment, as RayClient does. It said: {' '.join(str(error).split())[:300]}"
        )
        raise ClusterError(message) from error


def end(pid: int) -> None:
    """End a process of this node, if it is one of Ray's workers."""
    with contextlib.suppress(OSError):
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::"):
            os.kill(pid, signal.SIGKILL)


def _end_elsewhere(ray: Any, pids: dict[str, list[int]]) -> None:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(_end_all)
    refs = [
        task.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(found)
        for node, found in pids.items()
    ]
    # A node that is gone has no processes either.
    ray.wait(refs, num_returns=len(refs), timeout=_SECONDS)


def _end_all(pids: list[int]) -> None:
    for pid in pids:
        end(pid)
