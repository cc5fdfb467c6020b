"""Clusters in tests: a further node on this same machine, and a connection that leaves nothing behind."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

from nemo_curator.backends.cluster.connection import environment_kept, handlers_kept
from nemo_curator.core import cluster
from nemo_curator.core.folders import private_temp_dir
from nemo_curator.core.ports import PortClaims
from nemo_curator.core.ray_command import cluster_environment, worker_command


@contextmanager
def add_node(address: str, log: Path, *, num_cpus: int = 1) -> Iterator[Popen[bytes]]:
    """Let a node join the cluster at `address`, until the block is left; it joins some seconds later."""
    claims = PortClaims()
    temp_dir = private_temp_dir()
    command = worker_command(
        address=address,
        temp_dir=temp_dir,
        agent_port=claims.take(52365, exact=False, host=""),
        metrics_port=claims.take(8080, exact=False, host=""),
        num_cpus=num_cpus,
        object_store_memory=80_000_000,
    )
    with log.open("ab") as output:
        node = cluster.start(
            command,
            cluster_environment(os.environ),
            output=output,
            folders=[temp_dir],
            descriptors=claims.descriptors,
        )
    claims.close()
    try:
        yield node
    finally:
        cluster.end(node)


@contextmanager
def joined(address: str) -> Iterator[Any]:
    """Give the module `ray`, connected to a cluster; signal handlers and the environment stay as they are."""
    import ray

    with environment_kept(), handlers_kept():
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    try:
        yield ray
    finally:
        with handlers_kept():
            ray.shutdown()
