"""Questions about clusters, and a table cut where groups end."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from nemo_curator.core import cluster
from nemo_curator.core.ports import get_free_port
from nemo_curator.core.ray_command import LOOPBACK, cluster_environment, head_command
from nemo_curator.errors import require

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_ray_responsive", "get_free_port", "ignore_ray_head_node", "init_cluster", "split_table_by_group"]

_PAUSE_S = 0.5


def ignore_ray_head_node() -> bool:
    """Return whether `CURATOR_IGNORE_RAY_HEAD_NODE` asks to leave the head node alone: ``1``, ``true`` or ``yes``."""
    return os.environ.get("CURATOR_IGNORE_RAY_HEAD_NODE", "").strip().lower() in {"1", "true", "yes"}


def check_ray_responsive(timeout_s: float = 300) -> bool:
    """Return whether the cluster that `RAY_ADDRESS` names answers `ray status` within that time.

    `RAY_ADDRESS` not set means no cluster: other clusters on this machine are not looked for.
    """
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        return False
    deadline = time.monotonic() + timeout_s
    while (left := deadline - time.monotonic()) > 0:
        if cluster.ask_status(address, left):
            return True
        time.sleep(min(_PAUSE_S, max(0.0, deadline - time.monotonic())))
    return False


def init_cluster(
    ray_port: int,
    ray_temp_dir: str,
    ray_dashboard_port: int,
    ray_metrics_port: int,
    ray_client_server_port: int,
    ray_dashboard_host: str = LOOPBACK,
    *,
    num_gpus: int | None = None,
    num_cpus: int | None = None,
    object_store_memory: int | None = None,
    ip_address: str = LOOPBACK,
    output: BinaryIO | None = None,
) -> subprocess.Popen[bytes]:
    """Start a head node on exactly these ports, and return at once; `RayClient` is the comfortable way.

    Neither waits nor sets `RAY_ADDRESS`. End it with ``terminate()``: that ends all of Ray, as does the end of this process.

    Args:
        ray_port: Port of the cluster.
        ray_temp_dir: Where Ray keeps logs and sockets; a short path.
        ray_dashboard_port: Port of the dashboard.
        ray_metrics_port: Port for Prometheus.
        ray_client_server_port: Port for Ray's client protocol.
        ray_dashboard_host: Address that the dashboard listens on.
        num_gpus: GPUs that Ray may give away; `None` for those it finds.
        num_cpus: CPUs, likewise.
        object_store_memory: Bytes; `None` for what Ray thinks right.
        ip_address: Address of this node. On loopback nothing listens anywhere else.
        output: Where its output goes; `None` for this process's own.
    """
    command = head_command(
        node_ip=ip_address,
        port=ray_port,
        temp_dir=ray_temp_dir,
        client_server_port=ray_client_server_port,
        metrics_port=ray_metrics_port,
        agent_port=get_free_port(52365),
        dashboard=(ray_dashboard_host, ray_dashboard_port),
        num_cpus=num_cpus,
        num_gpus=num_gpus,
        object_store_memory=object_store_memory,
    )
    ports = {"DASHBOARD_METRIC_PORT": get_free_port(44227), "AUTOSCALER_METRIC_PORT": get_free_port(44217)}
    environment = cluster_environment(os.environ, loopback=ip_address == LOOPBACK, ports=ports)
    return cluster.start(command, environment, output=output)


def split_table_by_group(
    table: pa.Table, group_column: str, *, max_batch_bytes: int | None = None, max_batch_rows: int | None = None
) -> list[pa.Table]:
    """Cut an Arrow table into tables of limited size, in none of which a group begins or ends halfway.

    Rows keep their order. A group whose rows are scattered keeps everything between them together; sort by the group first
    for the finest cut. A group that is larger than the limits stays whole.

    Args:
        table: The table.
        group_column: Rows with the same value there belong together; nulls are one group.
        max_batch_bytes: Bytes that a table should not exceed; `None` for any number.
        max_batch_rows: Rows, likewise.

    Returns:
        Slices of the table, without copying; the table itself if it is empty.

    Raises:
        ValueError: There is no such column, or a limit is not positive.
    """
    require("pyarrow", extra="text", purpose="split_table_by_group")
    if group_column not in table.column_names:
        message = f"there is no column {group_column!r} to group by; the columns are {table.column_names}"
        raise ValueError(message)
    for name, limit in (("max_batch_bytes", max_batch_bytes), ("max_batch_rows", max_batch_rows)):
        if limit is not None and limit <= 0:
            message = f"{name} is {limit}; a positive number or None was expected"
            raise ValueError(message)
    if table.num_rows == 0:
        return [table]
    most_rows = max_batch_rows or sys.maxsize
    most_bytes = max_batch_bytes or sys.maxsize
    cuts, rows, size = [0], 0, 0
    for begin, end in _blocks(table, group_column):
        more_rows, more_bytes = end - begin, table.slice(begin, end - begin).nbytes
        if rows and (rows + more_rows > most_rows or size + more_bytes > most_bytes):
            cuts.append(begin)
            rows, size = 0, 0
        rows, size = rows + more_rows, size + more_bytes
    cuts.append(table.num_rows)
    return [table.slice(begin, end - begin) for begin, end in itertools.pairwise(cuts)]


def _blocks(table: pa.Table, group_column: str) -> Iterator[tuple[int, int]]:
    """Yield the shortest ranges of rows, in order, outside of which no group has a row."""
    import pyarrow as pa

    rows = pa.table({"group": table[group_column], "row": pa.array(range(table.num_rows), pa.int64())})
    spans = rows.group_by("group").aggregate([("row", "min"), ("row", "max")]).sort_by("row_min")
    begin, end = 0, 0
    for first, last in zip(spans["row_min"].to_pylist(), spans["row_max"].to_pylist(), strict=True):
        if first >= end and end > begin:
            yield begin, end
            begin = first
        end = max(end, last + 1)
    yield begin, end
