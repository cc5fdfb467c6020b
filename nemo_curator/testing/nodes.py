"""`add_node`: a further node for a cluster, on this same machine, for tests of what happens when one is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

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
