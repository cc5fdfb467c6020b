"""Ending what Xenna leaves behind: actors that Ray calls dead, and whose processes go on."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import threading
from pathlib import Path
from typing import Any

from nemo_curator.backends.cluster.connection import named
from nemo_curator.errors import ClusterError
from nemo_curator.utils.ray_connection import reach

__all__ = ["end_leftovers"]

_log = logging.getLogger(__name__)

# Its actors, in the versions that this backend runs on.
_ITS_ACTORS = frozenset({"NodeResourceMonitor", "StageWorker", "StageWorkerGroup", "ResourceMonitor"})
_SECONDS = 25.0

_NO_ANSWER = (
    "Xenna asks Ray's state API about its workers, and this cluster does not answer as it needs; start the cluster with its dashboard "
    "(ray[default] installed, include_dashboard=True), and with RAY_MAX_LIMIT_FROM_API_SERVER=40000 and "
    "RAY_MAX_LIMIT_FROM_DATA_SOURCE=40000 in its environment, as RayClient does. It said: {}"
)


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
        ClusterError: It does not answer, or not as many as Xenna asks for, or the head of the cluster is gone.
    """
    if not _has_dashboard(ray):
        raise ClusterError(_NO_ANSWER.format("it has no dashboard"))
    context = ray.get_runtime_context()
    # Where the head is gone, Ray would wait for a minute and then end this process.
    reach(context.gcs_address)
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
    # Its client asks for half a minute where nobody answers, and takes no deadline for that.
    asking = threading.Thread(target=_ask, args=(context.get_job_id(), answer), name="curator-state-api", daemon=True)
    # It looks around for a cluster, too, and finds any other on the machine.
    with named(context.gcs_address):
        asking.start()
        try:
            said = answer.get(timeout=_SECONDS)
        except queue.Empty:
            said = TimeoutError(f"no answer within {_SECONDS:g} s")
    if isinstance(said, Exception):
        raise ClusterError(_NO_ANSWER.format(" ".join(str(said).split())[:300])) from said
    return said


def _has_dashboard(ray: Any) -> bool:
    """Say whether the cluster has a dashboard, as far as this process was told when it connected."""
    node = getattr(getattr(ray._private, "worker", None), "_global_node", None)
    return node is None or bool(getattr(node, "webui_url", True))


def _ask(job: str, answer: queue.SimpleQueue[Any]) -> None:
    from ray.util.state import list_actors

    try:
        filters: Any = [("job_id", "=", job)]
        answer.put(list_actors(filters=filters, limit=20_000, timeout=int(_SECONDS), raise_on_missing_output=False))
    except Exception as error:  # whatever the state API raises when it does not answer
        answer.put(error)


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
