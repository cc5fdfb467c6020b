"""`SlurmRayClient`: a Ray cluster across the nodes of a Slurm job."""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import NoReturn

from nemo_curator.core import await_nodes, cluster
from nemo_curator.core.folders import DEFAULT_TEMP_DIR, private_temp_dir
from nemo_curator.core.ports import PortClaims, accepts
from nemo_curator.core.ray_client import RayClient, cluster_is_named
from nemo_curator.core.ray_command import cluster_environment, public_address, worker_command
from nemo_curator.core.slurm import SlurmJob, count_from, reachable_address

__all__ = ["SlurmRayClient"]

_PAUSE_S = 1.0
# A shared file system may lose sight of a file for a moment.
_MISSES = 3
# Beside the wait for nodes: importing Ray, and connecting.
_CONNECT_S = 60.0

_log = logging.getLogger(__name__)


@dataclass
class SlurmRayClient(RayClient):
    """Starts a Ray cluster on all nodes of a Slurm job; outside of one, and on one node, it is a `RayClient`.

    Run the same program once on every node (``srun --ntasks-per-node=1``). On the first node `start` starts the head, waits for the
    others and returns. On the others it joins them to the cluster and never returns: what stands behind it runs on the head
    only. They leave with exit code 0 when the head stops, and with that of `ray start` when it ends by itself.

    The head tells its port by a file in `RAY_PORT_BROADCAST_DIR`, which all nodes must see; the default is ``<TMP>``.

    The cluster listens on the network of the nodes, where anybody may use it unless `RAY_AUTH_MODE=token` is set.

    Attributes:
        worker_connect_timeout_s: Seconds that the head waits for the others, and the others for the head.
        cleanup_on_start: Remove a port file that an earlier attempt of the same job left.
    """

    ray_dashboard_host: str = "0.0.0.0"  # noqa: S104  people look at it from a login node; the contract has it so
    worker_connect_timeout_s: float = 300
    cleanup_on_start: bool = True
    _job: SlurmJob | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_cpus is None:
            self.num_cpus = count_from(os.environ, "SLURM_CPUS_ON_NODE")
        if self.num_gpus is None:
            self.num_gpus = count_from(os.environ, "SLURM_GPUS_ON_NODE")

    def start(self) -> None:
        """Start the cluster; returns on the head only, and there when all nodes have joined.

        Raises:
            RuntimeError: As `RayClient.start`.
            TimeoutError: Not all nodes came in time, or the head did not; nothing is left then.
            SystemExit: On every node but the head, when the cluster ends.
        """
        job = SlurmJob.of(os.environ)
        if job is None or len(job.nodes) == 1:
            super().start()
        elif cluster_is_named():
            return
        elif job.rank == 0:
            self._lead(job)
        else:
            self._follow(job)

    def stop(self) -> None:
        """End the cluster, and let the other nodes know; see `RayClient.stop`."""
        if self._job is not None and self._running is not None and self._running.owner == os.getpid():
            self._job.withdraw()
            self._job = None
        super().stop()

    def _lead(self, job: SlurmJob) -> None:
        if self.cleanup_on_start:
            job.withdraw()
        self._start_head(reachable_address(job.nodes[0]))
        self._job = job
        try:
            job.publish(self.ray_port)
            self._await_nodes(len(job.nodes))
        except BaseException:
            self.stop()
            raise

    def _await_nodes(self, wanted: int) -> None:
        timeout_s = self.worker_connect_timeout_s
        program = [sys.executable, "-P", await_nodes.__file__]
        try:
            asked = subprocess.run(
                [*program, os.environ["RAY_ADDRESS"], str(wanted), str(timeout_s)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s + _CONNECT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            message = f"the head node did not say within {timeout_s:g} s which of {wanted} nodes have joined"
            raise TimeoutError(message) from None
        if asked.returncode == 0:
            return
        counted = asked.stdout.strip()
        if not counted.isdigit():
            message = f"the nodes of the cluster cannot be counted:\n{asked.stderr.strip()}"
            raise RuntimeError(message)
        message = (
            f"{counted} of {wanted} nodes joined within {timeout_s:g} s (worker_connect_timeout_s). Does the program "
            "run once on every node, and do all see the folder of the port file (RAY_PORT_BROADCAST_DIR)?"
        )
        raise TimeoutError(message)

    def _follow(self, job: SlurmJob) -> NoReturn:
        process = self._join(job)
        atexit.register(cluster.end, process)
        try:
            code = self._stay(process, job)
        finally:
            cluster.end(process)
            atexit.unregister(cluster.end)
        sys.exit(code)

    def _join(self, job: SlurmJob) -> subprocess.Popen[bytes]:
        host, port = self._await_head(job)
        own = self.ray_temp_dir == DEFAULT_TEMP_DIR
        temp_dir = private_temp_dir() if own else self.ray_temp_dir
        claims = PortClaims()
        try:
            command = worker_command(
                address=public_address(host, port),
                temp_dir=temp_dir,
                agent_port=claims.take(52365, exact=False, host=""),
                metrics_port=claims.take(self.ray_metrics_port, exact=False, host=""),
                **self._amounts(),
            )
            capture = self.ray_stdouterr_capture_file
            with nullcontext() if capture is None else open(f"{capture}.node{job.rank}", "ab", buffering=0) as output:
                self.ray_process = cluster.start(
                    command,
                    cluster_environment(os.environ),
                    output=output,
                    folders=[temp_dir] if own else [],
                    descriptors=claims.descriptors,
                )
        finally:
            claims.close()
        return self.ray_process

    def _await_head(self, job: SlurmJob) -> tuple[str, int]:
        """Wait until the head has told its port and listens there; a file that an earlier attempt left does not count."""
        deadline = time.monotonic() + self.worker_connect_timeout_s
        host = reachable_address(job.nodes[0])
        while time.monotonic() < deadline:
            port = job.published()
            if port is not None and accepts(host, port):
                return host, port
            time.sleep(_PAUSE_S)
        told = "no port in" if job.published() is None else f"port {job.published()}, where nobody answers, in"
        message = (
            f"the head node {job.nodes[0]} ({host}) told {told} {job.port_file} within {self.worker_connect_timeout_s:g} s "
            "(worker_connect_timeout_s): is RAY_PORT_BROADCAST_DIR a folder that all nodes see, and does the head run?"
        )
        raise TimeoutError(message)

    def _stay(self, process: subprocess.Popen[bytes], job: SlurmJob) -> int:
        """Wait until Ray ends here, or the head has withdrawn its port; return the exit code."""
        _log.info("node %d of job %s has joined", job.rank, job.job_id)
        misses = 0
        while misses < _MISSES:
            try:
                return process.wait(timeout=_PAUSE_S)
            except subprocess.TimeoutExpired:
                misses = 0 if job.port_file.exists() else misses + 1
        return 0
