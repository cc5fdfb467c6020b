"""What is run to start Ray, and the environment it is run in. Pure but for looking for the program."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from nemo_curator.errors import MissingExtra

__all__ = ["LOOPBACK", "cluster_environment", "find_ray", "head_command", "public_address", "worker_command"]

LOOPBACK = "127.0.0.1"

# Ray takes "127.0.0.1" and "localhost" in an address to mean "this machine" and puts the machine's outward address there, where
# a cluster on loopback does not listen. It compares letters; resolvers do not.
_LOOPBACK_FOR_CLIENTS = "LOCALHOST"


def find_ray() -> str:
    """Return the path of the program `ray`: the one beside this interpreter, or else the one on `PATH`.

    Raises:
        MissingExtra: There is none.
    """
    beside = Path(sys.executable).parent / "ray"
    if os.access(beside, os.X_OK):
        return str(beside)
    found = shutil.which("ray")
    if found is None:
        message = (
            f"a Ray cluster needs the program 'ray', which is neither beside {sys.executable} nor on PATH: "
            "pip install 'curator-backends[ray]'"
        )
        raise MissingExtra(message, name="ray")
    return found


def public_address(node_ip: str, port: int) -> str:
    """Return the address by which drivers on this machine, or on others unless it is loopback, find the cluster."""
    return f"{_LOOPBACK_FOR_CLIENTS if node_ip == LOOPBACK else node_ip}:{port}"


def head_command(
    *,
    node_ip: str,
    port: int,
    temp_dir: str,
    client_server_port: int,
    metrics_port: int,
    agent_port: int,
    dashboard: tuple[str, int] | None,
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    object_store_memory: int | None = None,
    spill_dir: str | None = None,
) -> list[str]:
    """Return the command that starts a head node and runs as long as it does.

    Args:
        node_ip: Address of this node.
        port: Port of the cluster.
        temp_dir: Where Ray keeps logs and sockets.
        client_server_port: Port for Ray's client protocol.
        metrics_port: Port for Prometheus.
        agent_port: Port of the node's dashboard agent.
        dashboard: Host and port of the dashboard; `None` for no dashboard.
        num_cpus: CPUs that Ray may give away; `None` for those it finds.
        num_gpus: GPUs, likewise.
        object_store_memory: Bytes; `None` for what Ray thinks right.
        spill_dir: Where objects go that do not fit; `None` for what Ray does by itself.
    """
    command = [find_ray(), "start", "--head", "--block", "--disable-usage-stats"]
    command += [f"--node-ip-address={node_ip}", f"--port={port}", f"--temp-dir={temp_dir}"]
    command += [f"--ray-client-server-port={client_server_port}", f"--metrics-export-port={metrics_port}"]
    command += [f"--dashboard-agent-listen-port={agent_port}", f"--include-dashboard={dashboard is not None}"]
    if dashboard is not None:
        command += [f"--dashboard-host={dashboard[0]}", f"--dashboard-port={dashboard[1]}"]
    if spill_dir is not None:
        command.append(f"--system-config={spilling_config(spill_dir)}")
    return command + _amounts(num_cpus, num_gpus, object_store_memory) + _worker_ports(node_ip)


def worker_command(
    *,
    address: str,
    temp_dir: str,
    agent_port: int,
    metrics_port: int,
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    object_store_memory: int | None = None,
) -> list[str]:
    """Return the command that joins this node to a cluster and runs as long as it belongs to it.

    Args:
        address: The cluster, as ``host:port``. The node takes the address by which it reaches that for its own.
        temp_dir: Where Ray keeps logs and sockets on this node.
        agent_port: Port of the node's dashboard agent.
        metrics_port: Port for Prometheus.
        num_cpus: CPUs that Ray may give away; `None` for those it finds.
        num_gpus: GPUs, likewise.
        object_store_memory: Bytes; `None` for what Ray thinks right.
    """
    command = [find_ray(), "start", f"--address={address}", f"--temp-dir={temp_dir}", "--block"]
    command += [f"--dashboard-agent-listen-port={agent_port}", f"--metrics-export-port={metrics_port}"]
    return command + _amounts(num_cpus, num_gpus, object_store_memory)


def spilling_config(folder: str) -> str:
    """Return Ray's system config, as JSON, for spilling objects to a folder.

    The inner config is JSON in a string: Ray decodes it a second time.
    """
    inner = {"type": "filesystem", "params": {"directory_path": folder}}
    return json.dumps({"object_spilling_config": json.dumps(inner)})


def cluster_environment(
    environ: Mapping[str, str], *, loopback: bool = False, ports: Mapping[str, int] | None = None
) -> dict[str, str]:
    """Return the environment for a cluster's processes: the caller's, and what Ray is told only there.

    * State listings may be as long as large pipelines need them.
    * A head on loopback listens nowhere else: Ray binds to all interfaces unless it believes that clusters are off. A node
      that joins must believe that they are on, and binds as the head does.
    * Tokens are asked for only if the caller's environment says so (`RAY_AUTH_MODE`). Ray would ask for one as soon as there is one
      in the home directory, but drivers that connect by address never send it by themselves.

    Args:
        environ: The caller's environment; not changed.
        loopback: Whether this is for a head on loopback.
        ports: Further variables that name ports.
    """
    cluster = {name: value for name, value in environ.items() if name != "RAY_ADDRESS"}
    cluster["RAY_MAX_LIMIT_FROM_API_SERVER"] = "40000"
    cluster["RAY_MAX_LIMIT_FROM_DATA_SOURCE"] = "40000"
    cluster["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster.setdefault("RAY_AUTH_MODE", "disabled")
    if loopback:
        cluster["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    return cluster | {name: str(port) for name, port in (ports or {}).items()}


def _amounts(num_cpus: int | None, num_gpus: int | None, object_store_memory: int | None) -> list[str]:
    given = {"num-cpus": num_cpus, "num-gpus": num_gpus, "object-store-memory": object_store_memory}
    return [f"--{name}={amount}" for name, amount in given.items() if amount is not None]


def _worker_ports(node_ip: str) -> list[str]:
    # On loopback no firewall wants a range, and any free port keeps two clusters out of each other's way.
    return ["--min-worker-port=0", "--max-worker-port=0"] if node_ip == LOOPBACK else []
