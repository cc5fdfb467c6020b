"""Ray clusters that are there before a program begins, and gone when it has been measured.

Every run has a cluster of its own: of two clusters that are kept all the time, each would slow the other's runs down, and
what a run leaves behind on a cluster, the next one on it. A program's run begins when the cluster has come to rest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from benchmarks.measure import RunFailed, left_alone, tree
from nemo_curator.core import cluster
from nemo_curator.core.folders import private_temp_dir
from nemo_curator.core.ports import PortClaims
from nemo_curator.core.ray_command import LOOPBACK, cluster_environment, public_address

__all__ = ["Cluster", "no_cluster"]

_CPUS = 2
_ATTEMPTS = 3
_PORTS = {
    "port": 6379,
    "client": 21001,
    "metrics": 8080,
    "agent": 52365,
    "dashboard": 8265,
    "DASHBOARD_METRIC_PORT": 44227,
    "AUTOSCALER_METRIC_PORT": 44217,
}
"""Where to look for free ports. The last two are told by variables."""
_UP_SECONDS = 120.0
_AT_REST = 0.2
"""CPU seconds a second that a cluster without work may take; Ray's own processes never stop entirely."""
_REST_SECONDS = 2.0
_REST_WAIT_SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")

_DRIVER = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
"""What both the driver and the cluster are told: ask for no token, although this user's home may hold one; send nothing."""


@dataclass(frozen=True)
class Cluster:
    """A cluster of two CPUs with its dashboard, on loopback, for every run of one contestant.

    Attributes:
        python: The interpreter whose Ray it is.
    """

    python: Path

    @contextmanager
    def up(self) -> Iterator[Mapping[str, str]]:
        """Have the cluster running inside; gives the variables by which a program finds it.

        Raises:
            RunFailed: It did not start; the message ends with what Ray said.
        """
        with self._started() as (process, port):
            _await_rest(process.pid)
            yield {**_DRIVER, "RAY_ADDRESS": public_address(LOOPBACK, port)}

    @contextmanager
    def _started(self) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        problem = ""
        for _ in range(_ATTEMPTS):
            with self._launched() as (process, ports, folder, output):
                # What is asked is only whether it is complete, which it notes in its folder.
                failed = cluster.wait_until_up(
                    process,
                    temp_dir=folder,
                    port=ports["port"],
                    responsive=lambda _: True,
                    timeout_s=_UP_SECONDS,
                )
                if failed is None:
                    yield process, ports["port"]
                    return
                problem = f"the Ray cluster did not start: `ray start` {failed}. It said: {cluster.tail(output)}"
        raise RunFailed(problem)

    @contextmanager
    def _launched(self) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, int], str, BinaryIO]]:
        folder = private_temp_dir()
        claims = PortClaims()
        ports = {name: claims.take(port, exact=False, host=LOOPBACK) for name, port in _PORTS.items()}
        with tempfile.TemporaryFile("a+b", buffering=0) as output:
            process = cluster.start(
                self._command(ports, folder),
                self._environment(ports),
                output=output,
                folders=[folder],
                descriptors=claims.descriptors,
            )
            claims.close()
            with left_alone(process.pid):
                try:
                    yield process, ports, folder, output
                finally:
                    cluster.end(process)

    def _command(self, ports: Mapping[str, int], folder: str) -> list[str]:
        return [
            str(self.python.parent / "ray"),
            *("start", "--head", "--block", "--disable-usage-stats", f"--num-cpus={_CPUS}"),
            *(f"--node-ip-address={LOOPBACK}", f"--port={ports['port']}", f"--temp-dir={folder}"),
            *(f"--ray-client-server-port={ports['client']}", f"--metrics-export-port={ports['metrics']}"),
            *(f"--dashboard-agent-listen-port={ports['agent']}", "--include-dashboard=True"),
            *(f"--dashboard-host={LOOPBACK}", f"--dashboard-port={ports['dashboard']}"),
            *("--min-worker-port=0", "--max-worker-port=0"),
        ]

    @staticmethod
    def _environment(ports: Mapping[str, int]) -> dict[str, str]:
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RAY_"))}
        metric_ports = {name: port for name, port in ports.items() if name.isupper()}
        return cluster_environment(bare, loopback=True, ports=metric_ports) | _DRIVER


@contextmanager
def no_cluster() -> Iterator[Mapping[str, str]]:
    """Have nothing running; gives variables by which a program starts its own, and finds nobody else's."""
    folder = private_temp_dir()
    try:
        yield {**_DRIVER, "RAY_TMPDIR": folder}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await_rest(pid: int) -> None:
    """Wait until a process with its descendants takes hardly any CPU time: Ray answers long before it is all there."""
    deadline = time.monotonic() + _REST_WAIT_SECONDS
    while time.monotonic() < deadline:
        before = _cpu_seconds(pid)
        time.sleep(_REST_SECONDS)
        if _cpu_seconds(pid) - before < _AT_REST * _REST_SECONDS:
            return


def _cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and its descendants, and of those that they have waited for.

    Not enough to say what a run costs on a cluster: Ray's raylet waits for no worker, so those that have ended are missing.
    """
    ticks = 0
    for each in tree(pid):
        with suppress(OSError):
            # Behind the name, which may hold anything, the 12th to the 15th field are the process's times and its children's.
            fields = Path(f"/proc/{each}/stat").read_bytes().rpartition(b")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS
