"""The connection to a Ray cluster: told which, joined or started, and left as it was found.

A cluster is joined only if somebody named it: it is connected already, or the option ``address`` or `RAY_ADDRESS` says where. Otherwise
a small one is started on this machine for the run, on loopback, and ended with it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nemo_curator.engine.machine import detect_machine
from nemo_curator.errors import ClusterError, require

__all__ = ["connected", "environment_kept", "handlers_kept", "named"]

_log = logging.getLogger(__name__)

_REACH_SECONDS = 5.0
# Without them Ray lists at most 10,000 of anything, and cosmos-xenna refuses clusters that were started so.
_LIMITS = {"RAY_MAX_LIMIT_FROM_API_SERVER": "40000", "RAY_MAX_LIMIT_FROM_DATA_SOURCE": "40000"}
# Ray's own switch for laptops: nodes of such a cluster bind to loopback, and only to it.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@contextlib.contextmanager
def environment_kept() -> Iterator[None]:
    """Undo what happens to this process's environment inside."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


@contextlib.contextmanager
def named(address: str) -> Iterator[None]:
    """Name the cluster in the environment inside, for clients of Ray that look around otherwise."""
    with environment_kept():
        os.environ["RAY_ADDRESS"] = address
        yield


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """Undo what happens to signal handlers inside: connecting to Ray replaces that of SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def connected(address: str | None, *, dashboard: bool = False) -> Iterator[Any]:
    """Give the module `ray`, connected to a cluster; disconnect afterwards if it was not connected before.

    Args:
        address: Where the cluster is, ``host:port``; `RAY_ADDRESS` when not given.
        dashboard: The backend needs Ray's dashboard and state API, if the cluster is started here.

    Raises:
        MissingExtra: Ray is not installed.
        ClusterError: There is no cluster at that address, or it is one that this process cannot join.
    """
    require("ray", extra="ray", purpose="this backend")
    address = address or os.environ.get("RAY_ADDRESS") or None
    with environment_kept():
        if address is None:
            os.environ.update(_LOOPBACK)
        os.environ.update(_QUIET)
        import ray

        ours = not ray.is_initialized()
        if ours:
            with handlers_kept():
                _connect(ray, address, dashboard=dashboard)
    try:
        yield ray
    finally:
        if ours:
            with handlers_kept():
                ray.shutdown()


def _connect(ray: Any, address: str | None, *, dashboard: bool) -> None:
    quiet: dict[str, Any] = {"log_to_driver": True, "logging_level": logging.WARNING, "configure_logging": False}
    if address is None:
        os.environ.update(_LIMITS)
        # Ray finds its own programs on the path, which need not know this interpreter's folder.
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        cpus = max(1, int(detect_machine().cpus))
        _log.info("no Ray cluster was named: one with %d CPUs is started on this machine for the run", cpus)
        ray.init(address="local", num_cpus=cpus, include_dashboard=dashboard, **quiet)
        return
    if address != "auto" and "://" not in address:
        _reach(address)
    try:
        ray.init(address=address, **quiet)
    except ConnectionError as error:
        raise ClusterError(_no_cluster(address, error)) from error
    except RuntimeError as error:
        if "ersion mismatch" in str(error):
            message = (
                f"the Ray cluster at {address} runs other versions than this process, and Ray wants them equal: "
                f"{' '.join(str(error).split())}"
            )
            raise ClusterError(message) from error
        raise


def _reach(address: str) -> None:
    """Knock first: Ray itself would wait for half a minute."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or not host:
        message = f"the address of a Ray cluster is host:port, such as 10.0.0.1:6379; got {address!r}"
        raise ClusterError(message)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS).close()
    except OSError as error:
        raise ClusterError(_no_cluster(address, error)) from error


def _no_cluster(address: str, error: Exception) -> str:
    return (
        f"there is no Ray cluster at {address} ({error}); start one (ray start --head, or RayClient), correct the address "
        "(option address, or RAY_ADDRESS), or give none to have one started on this machine for the run"
    )
