"""Joining a Ray cluster that somebody named, and leaving everything as it was found."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nemo_curator.errors import ClusterError, require

__all__ = [
    "QUIET_ENVIRONMENT",
    "QUIET_OPTIONS",
    "cluster_address",
    "connected_by",
    "environment_kept",
    "handlers_kept",
    "join",
    "joined_cluster",
    "reach",
]

_REACH_SECONDS = 5.0
QUIET_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Variables with which Ray says and does what it was asked for, and nothing else."""
QUIET_OPTIONS: dict[str, Any] = {"log_to_driver": True, "logging_level": logging.WARNING, "configure_logging": False}
"""Options of `ray.init` for the same."""


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


def cluster_address() -> str | None:
    """Return the address of the cluster that this process is connected to, or that `RAY_ADDRESS` names; `None` without any."""
    ray: Any = sys.modules.get("ray")
    # Whoever has not imported it is not connected.
    if ray is not None and ray.is_initialized():
        return str(ray.get_runtime_context().gcs_address)
    return os.environ.get("RAY_ADDRESS") or None


@contextlib.contextmanager
def joined_cluster(address: str | None = None) -> Iterator[Any]:
    """Give the module `ray`, connected to a cluster that somebody named; disconnect afterwards if it was not connected before.

    Args:
        address: Where the cluster is, ``host:port``; `RAY_ADDRESS` when not given. Of no meaning where this process is connected.

    Raises:
        MissingExtra: Ray is not installed.
        ClusterError: No cluster was named, there is none at that address, or it is one that this process cannot join.
    """
    require("ray", extra="ray", purpose="what lives on a Ray cluster")
    address = address or os.environ.get("RAY_ADDRESS") or None

    def connect(ray: Any) -> None:
        if address is None:
            message = (
                "no Ray cluster was named, and none is started for this, as it would end at once; start one (RayClient, or "
                "ray start --head) and name it with RAY_ADDRESS, or connect with ray.init(address=...)"
            )
            raise ClusterError(message)
        join(ray, address)

    with connected_by(connect) as ray:
        yield ray


@contextlib.contextmanager
def connected_by(connect: Callable[[Any], None], variables: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Give the module `ray`, connected; disconnect afterwards if it was not connected before. Ray must be installed.

    Args:
        connect: Connects the module that it is given; called if it is not connected.
        variables: What the environment has besides, while Ray is imported and connects.
    """
    with environment_kept():
        os.environ.update({**(variables or {}), **QUIET_ENVIRONMENT})
        import ray  # pyright: ignore[reportMissingImports]

        ours = not ray.is_initialized()
        if ours:
            with handlers_kept():
                connect(ray)
    try:
        yield ray
    finally:
        if ours:
            with handlers_kept():
                ray.shutdown()
            _forget_protection(ray)


def _forget_protection(ray: Any) -> None:
    """Let Ray see from the environment again whether tokens are asked for.

    A cluster that `ray.init` starts asks for one, and so does this process from then on, whatever it connects to next: a cluster without
    tokens could not say anything to it, and would take its actors for abandoned. Ray has no public way to undo that.
    """
    config, tokens = (getattr(ray._raylet, name, None) for name in ("Config", "AuthenticationTokenLoader"))
    if config is not None and tokens is not None:
        config.initialize("")
        tokens.instance().reset_cache()


def join(ray: Any, address: str) -> None:
    """Connect to the cluster at an address.

    Args:
        ray: The module.
        address: ``host:port``, or another that Ray knows.

    Raises:
        ClusterError: There is no cluster, or it is one that this process cannot join.
    """
    if address != "auto" and "://" not in address:
        reach(address)
    try:
        ray.init(address=address, **QUIET_OPTIONS)
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


def reach(address: str) -> None:
    """Knock at the head of a cluster: Ray itself would wait for half a minute for one that is not there, or end this process after one.

    Args:
        address: ``host:port``.

    Raises:
        ClusterError: Nobody answers, or it is no such address.
    """
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
