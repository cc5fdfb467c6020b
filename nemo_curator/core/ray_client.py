"""`RayClient`: a Ray cluster on this machine, for as long as a program needs one."""

from __future__ import annotations

import atexit
import logging
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from nemo_curator.core import cluster, discovery
from nemo_curator.core.folders import DEFAULT_TEMP_DIR, private_spill_dir, private_temp_dir
from nemo_curator.core.ports import PortClaims
from nemo_curator.core.ray_command import LOOPBACK, cluster_environment, find_ray, head_command, public_address
from nemo_curator.core.utils import check_ray_responsive

__all__ = ["RayClient", "cluster_is_named"]

_START_TIMEOUT_S = 300.0
_ATTEMPTS = 3
_PORT_TAKEN = re.compile(r"already occupied|already in use|address in use", re.IGNORECASE)

_log = logging.getLogger(__name__)


@dataclass
class _Running:
    """A cluster that this process has started."""

    process: subprocess.Popen[bytes]
    address: str
    output: BinaryIO
    scraped: bool
    owner: int = field(default_factory=os.getpid)


@dataclass
class RayClient:
    """Starts a Ray cluster on this machine and ends it: only if there is none yet, and only what it started.

    With `RAY_ADDRESS` set, `start` and `stop` do nothing. Otherwise `start` returns when the cluster answers, with `RAY_ADDRESS` set,
    and `stop` removes both again. The cluster ends with this process, also if this is killed. Any number of clusters may
    run on a machine: a port that is left at its default moves to the next free one. While the cluster runs, the fields
    hold the ports and the folder that it uses.

    Nothing listens on the network, only on loopback; any user of this machine can connect, unless `RAY_AUTH_MODE=token` is set.

    Attributes:
        ray_port: Port of the cluster.
        ray_dashboard_port: Port of the dashboard.
        ray_client_server_port: Port for Ray's client protocol.
        ray_temp_dir: Where Ray keeps logs and sockets; left at its default, a new folder that `stop` removes.
        include_dashboard: Whether there is a dashboard.
        ray_metrics_port: Port for Prometheus.
        ray_dashboard_host: Address that the dashboard listens on.
        num_gpus: GPUs that Ray may give away; `None` for those it finds.
        num_cpus: CPUs, likewise.
        object_store_memory: Bytes; `None` for what Ray thinks right.
        enable_object_spilling: Let objects that memory does not hold go to ``<TMP>/ray_spill``; they are removed with the cluster.
        ray_stdouterr_capture_file: A new file for what `ray start` says; `None` keeps it for error messages only.
        metrics_dir: Where Prometheus was started; `None` for the usual place.
        ray_process: The process that holds the cluster while it runs.

    Raises:
        FileExistsError: The capture file is already there.
    """

    ray_port: int = 6379
    ray_dashboard_port: int = 8265
    ray_client_server_port: int = 10001
    ray_temp_dir: str = DEFAULT_TEMP_DIR
    include_dashboard: bool = True
    ray_metrics_port: int = 8080
    ray_dashboard_host: str = LOOPBACK
    num_gpus: int | None = None
    num_cpus: int | None = None
    object_store_memory: int | None = None
    enable_object_spilling: bool = False
    ray_stdouterr_capture_file: str | None = None
    metrics_dir: str | None = None
    ray_process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _running: _Running | None = field(default=None, init=False, repr=False, compare=False)
    _asked: dict[str, int | str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.ray_stdouterr_capture_file is not None and Path(self.ray_stdouterr_capture_file).exists():
            message = f"the capture file {self.ray_stdouterr_capture_file} is already there: remove it, or name another"
            raise FileExistsError(message)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start a cluster and wait until it answers; nothing if `RAY_ADDRESS` names one.

        Raises:
            RuntimeError: A port that was asked for is busy, or the cluster did not start; then nothing of it is left, and the
                message ends with what Ray said.
            MissingExtra: Ray is not installed.
        """
        if cluster_is_named():
            return
        self._start_head(LOOPBACK)

    def stop(self) -> None:
        """End the cluster that `start` started, and forget it; nothing if it started none, or in a forked child.

        SIGTERM, after 5 s SIGKILL; returns when no process is left. A connection of this process to it is closed first.
        """
        running = self._running
        if running is None or running.owner != os.getpid():
            return
        self._running = self.ray_process = None
        atexit.unregister(self.stop)
        if running.scraped:
            discovery.unregister(self.ray_temp_dir, self.metrics_dir)
        _disconnect(self.ray_port)
        cluster.end(running.process)
        running.output.close()
        if os.environ.get("RAY_ADDRESS") == running.address:
            del os.environ["RAY_ADDRESS"]
        self._restore_fields()

    def _start_head(self, node_ip: str) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            problem = self._try_to_start(node_ip)
            if problem is None:
                break
            # Others choose ports too, and Ray listens only seconds later. Ports that were asked for are looked at again.
            if attempt == _ATTEMPTS or not _PORT_TAKEN.search(problem):
                raise RuntimeError(problem)
            _log.info("a port was taken while the cluster started: trying others")
        _log.info("started a Ray cluster at %s, logs in %s", os.environ["RAY_ADDRESS"], self.ray_temp_dir)

    def _try_to_start(self, node_ip: str) -> str | None:
        """Start the cluster; return what went wrong, and then nothing of it is left."""
        atexit.register(self.stop)
        problem: str | None = "interrupted"
        try:
            self._launch(node_ip)
            problem = self._await_answer()
        finally:
            # Whatever it was, Ctrl-C included: no cluster stays that nobody knows of.
            if problem is not None:
                self.stop()
                self._restore_fields()
                atexit.unregister(self.stop)
        return problem

    def _launch(self, node_ip: str) -> None:
        find_ray()
        claims = PortClaims()
        try:
            ports = self._claim_ports(claims, node_ip)
            folders = self._make_folders()
            command = head_command(
                node_ip=node_ip,
                port=self.ray_port,
                temp_dir=self.ray_temp_dir,
                client_server_port=self.ray_client_server_port,
                metrics_port=self.ray_metrics_port,
                agent_port=ports.pop("agent"),
                dashboard=(self.ray_dashboard_host, self.ray_dashboard_port) if self.include_dashboard else None,
                spill_dir=folders.get("spill"),
                **self._amounts(),
            )
            environment = cluster_environment(os.environ, loopback=node_ip == LOOPBACK, ports=ports)
            output = self._open_output()
            self.ray_process = cluster.start(
                command,
                environment,
                output=output,
                folders=list(folders.values()),
                descriptors=claims.descriptors,
            )
        finally:
            claims.close()
        address = public_address(node_ip, self.ray_port)
        self._running = _Running(
            self.ray_process, address, output, discovery.register(self.ray_temp_dir, self.metrics_dir)
        )
        os.environ["RAY_ADDRESS"] = address

    def _await_answer(self) -> str | None:
        running = self._running
        assert running is not None
        problem = cluster.wait_until_up(
            running.process,
            temp_dir=self.ray_temp_dir,
            port=self.ray_port,
            responsive=check_ray_responsive,
            timeout_s=_START_TIMEOUT_S,
        )
        if problem is None:
            return None
        return f"the Ray cluster did not start: `ray start` {problem}. It said:\n{cluster.tail(running.output)}"

    def _claim_ports(self, claims: PortClaims, node_ip: str) -> dict[str, int]:
        """Fix the ports in the fields, those that were asked for first; return the further ones that Ray needs."""
        wanted = {"ray_port": node_ip, "ray_client_server_port": node_ip, "ray_metrics_port": node_ip}
        if self.include_dashboard:
            wanted["ray_dashboard_port"] = self.ray_dashboard_host
        defaults = {each.name: each.default for each in fields(self)}
        for name in sorted(wanted, key=lambda name: getattr(self, name) == defaults[name]):
            asked = getattr(self, name)
            self._set(name, claims.take(asked, exact=asked != defaults[name], host=wanted[name]))
        further = {"agent": 52365, "DASHBOARD_METRIC_PORT": 44227, "AUTOSCALER_METRIC_PORT": 44217}
        return {name: claims.take(port, exact=False, host=node_ip) for name, port in further.items()}

    def _make_folders(self) -> dict[str, str]:
        """Make the folders that go with the cluster."""
        made: dict[str, str] = {}
        if self.ray_temp_dir == DEFAULT_TEMP_DIR:
            made["temp"] = private_temp_dir()
            self._set("ray_temp_dir", made["temp"])
        if self.enable_object_spilling:
            made["spill"] = private_spill_dir()
        return made

    def _open_output(self) -> BinaryIO:
        if self.ray_stdouterr_capture_file is None:
            return tempfile.TemporaryFile("a+b", buffering=0)
        return open(self.ray_stdouterr_capture_file, "a+b", buffering=0)

    def _amounts(self) -> dict[str, int | None]:
        return {
            "num_cpus": self.num_cpus,
            "num_gpus": self.num_gpus,
            "object_store_memory": self.object_store_memory,
        }

    def _set(self, name: str, value: int | str) -> None:
        self._asked.setdefault(name, getattr(self, name))
        setattr(self, name, value)

    def _restore_fields(self) -> None:
        for name, value in self._asked.items():
            setattr(self, name, value)
        self._asked.clear()


def cluster_is_named() -> bool:
    """Return whether `RAY_ADDRESS` names a cluster, which is then used and left alone."""
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _log.info("RAY_ADDRESS is set: using the cluster at %s, which is not ours to stop", address)
    return bool(address)


def _disconnect(port: int) -> None:
    """Close this process's connection to the cluster on that port, if it has one: Ray would wait for what is gone."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return
    if str(ray.get_runtime_context().gcs_address).rpartition(":")[2] == str(port):
        ray.shutdown()
