"""Shared by all tests: a clean environment, and the backends that the conformance suite runs on."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.backends.cluster.connection import environment_kept
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.registry import make_executor
from nemo_curator.testing import BackendUnderTest

settings.register_profile(
    "default",
    deadline=None,
    max_examples=60,
    # A failure in CI says how to have it again anywhere.
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("default")

# Whoever starts tests in the background has SIGINT ignored; what tests start inherits that and cannot be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

for _name in list(os.environ):
    if _name.startswith(("NEMO_CURATOR_", "CURATOR_", "RAY_", "SLURM_")):
        del os.environ[_name]


def _local(mode: str) -> Callable[..., BaseExecutor]:
    def make(**options: Any) -> BaseExecutor:
        # Two workers, and room for a stage of two CPUs, whatever machine the tests run on.
        return LocalExecutor(**{"mode": mode, "num_workers": 2, "cpus": 2, **options})

    return make


def _on_ray(name: str, **config: Any) -> Callable[..., BaseExecutor]:
    def make(**options: Any) -> BaseExecutor:
        return make_executor(name, **{**config, **options})

    return make


BACKENDS = {
    **{f"local-{mode}": _local(mode) for mode in ("inline", "threads", "processes")},
    "ray-actor-pool": _on_ray("ray_actor_pool"),
    "ray-data": _on_ray("ray_data"),
    "xenna-streaming": _on_ray("xenna", execution_mode="streaming"),
    "xenna-batch": _on_ray("xenna", execution_mode="batch"),
}
NEEDS = {"ray": "ray", "xenna": "cosmos_xenna"}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """The one Ray cluster of a test session, of two CPUs, with this process connected to it; started when it is first asked for."""
    ray = _have("ray")
    # What a cluster is started with stays in its processes; this one's own environment is put back.
    with environment_kept():
        os.environ.update(
            RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",
            RAY_MAX_LIMIT_FROM_API_SERVER="40000",
            RAY_MAX_LIMIT_FROM_DATA_SOURCE="40000",
            RAY_USAGE_STATS_ENABLED="0",
            RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        )
        handler = signal.getsignal(signal.SIGTERM)
        ray.init(address="local", num_cpus=2, include_dashboard=True, log_to_driver=False, logging_level="ERROR")
        signal.signal(signal.SIGTERM, handler)
    yield ray
    ray.shutdown()


def _have(package: str) -> Any:
    """Return a package of an engine. Without it a test is skipped on somebody's laptop, and fails in CI."""
    try:
        return importlib.import_module(package)
    except ImportError:
        if os.environ.get("CI"):
            pytest.fail(f"{package} is not installed, and in CI it must be")
        pytest.skip(f"{package} is not installed")


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.ray] if "local" not in name else []) for name in BACKENDS]
)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> BackendUnderTest:
    """Every backend in turn."""
    for word, package in NEEDS.items():
        if word in request.param:
            _have(package)
    if "local" not in request.param:
        request.getfixturevalue("cluster")
    return BackendUnderTest(request.param, BACKENDS[request.param], tmp_path)
