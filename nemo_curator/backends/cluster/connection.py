"""The connection to a Ray cluster: told which, joined or started, and left as it was found.

A cluster is joined only if somebody named it: it is connected already, or the option ``address`` or `RAY_ADDRESS` says where. Otherwise
a small one is started on this machine for the run, on loopback, and ended with it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nemo_curator.engine.machine import detect_machine
from nemo_curator.errors import require
from nemo_curator.utils.ray_connection import QUIET_OPTIONS, connected_by, environment_kept, handlers_kept, join

__all__ = ["connected", "environment_kept", "handlers_kept", "named"]

_log = logging.getLogger(__name__)

# Without them Ray lists at most 10,000 of anything, and cosmos-xenna refuses clusters that were started so.
_LIMITS = {"RAY_MAX_LIMIT_FROM_API_SERVER": "40000", "RAY_MAX_LIMIT_FROM_DATA_SOURCE": "40000"}
# Ray's own switch for laptops: nodes of such a cluster bind to loopback, and only to it.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@contextlib.contextmanager
def named(address: str) -> Iterator[None]:
    """Name the cluster in the environment inside, for clients of Ray that look around otherwise."""
    with environment_kept():
        os.environ["RAY_ADDRESS"] = address
        yield


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
    connect = partial(_connect, address=address, dashboard=dashboard)
    with connected_by(connect, _LOOPBACK if address is None else None) as ray:
        yield ray


def _connect(ray: Any, *, address: str | None, dashboard: bool) -> None:
    if address is None:
        os.environ.update(_LIMITS)
        # Ray finds its own programs on the path, which need not know this interpreter's folder.
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        cpus = max(1, int(detect_machine().cpus))
        _log.info("no Ray cluster was named: one with %d CPUs is started on this machine for the run", cpus)
        ray.init(address="local", num_cpus=cpus, include_dashboard=dashboard, **QUIET_OPTIONS)
        return
    join(ray, address)
