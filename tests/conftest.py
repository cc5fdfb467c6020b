"""Shared by all tests: a clean environment, and the backends that the conformance suite runs on."""

from __future__ import annotations

import atexit
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
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.registry import make_executor
from nemo_curator.testing import BackendUnderTest
from nemo_curator.testing.nodes import joined
from tests.crashed_drivers import CrashedDrivers, said_by_cluster

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


def pytest_configure(config: pytest.Config) -> None:
    """Watch over the processes that run tests."""
    config.pluginmanager.register(CrashedDrivers(config), CrashedDrivers.name)


# What the tests of this process came to, once it is known.
_status: list[int] = []


def pytest_sessionfinish(exitstatus: int) -> None:
    """Keep what is to be the exit status of this process."""
    _status.append(int(exitstatus))


@atexit.register
def _leave_before_destructors() -> None:  # pyright: ignore[reportUnusedFunction]
    """End this process with the status of its tests, after all other functions that Python calls at exit: they were registered later.

    Threads of Ray's gRPC outlive `ray.shutdown`, as long as the process lives. While it exits they use what C++ destroys at the same time:
    after all 599 tests on Ray had passed, CI once saw "pure virtual method called" and a segmentation fault.
    """
    if _status and "ray" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status[-1])


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
def cluster(pytestconfig: pytest.Config) -> Iterator[str]:
    """The address of the one Ray cluster of a test session, of two CPUs; started when it is first asked for."""
    _have("ray")
    from nemo_curator.core.client import RayClient

    says = said_by_cluster(pytestconfig)
    says.unlink(missing_ok=True)
    client = RayClient(num_cpus=2, object_store_memory=1_000_000_000, ray_stdouterr_capture_file=str(says))
    client.start()
    # A cluster that the environment names is everybody's default; here only those have it who ask for it.
    address = os.environ.pop("RAY_ADDRESS")
    watch: Any = pytestconfig.pluginmanager.get_plugin(CrashedDrivers.name)
    watch.cluster = address
    yield address
    watch.cluster = None
    os.environ["RAY_ADDRESS"] = address
    client.stop()


@pytest.fixture(scope="module")
def connection(cluster: str) -> Iterator[Any]:
    """Ray's module, connected to the cluster for all tests of a module: runs then need not connect one by one."""
    with joined(cluster) as ray:
        yield ray


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """Whoever leaves a signal handler behind fails, and not a test of signals that comes after it."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def _have(package: str) -> Any:
    """Return a package of an engine. Without it a test is skipped on somebody's laptop, and fails in CI."""
    try:
        return importlib.import_module(package)
    except ImportError:
        if os.environ.get("CI"):
            pytest.fail(f"{package} is not installed, and in CI it must be")
        pytest.skip(f"{package} is not installed")


def _param(name: str) -> Any:
    # An engine starts many processes; on a busy machine of two cores that takes its time.
    marks = [] if name.startswith("local") else [pytest.mark.ray, pytest.mark.timeout(300)]
    return pytest.param(name, marks=marks)


# Parts that are the custodian's work and not the engine's, as the actor pool and Ray Data show with every commit. A case takes Xenna seconds.
IN_SOAK = {
    "ray-data": ("records",),
    "xenna-streaming": ("records", "recovery", "drops", "fan_out"),
    "xenna-batch": ("records", "recovery", "resume", "drops", "fan_out"),
}
# Some ten pipelines, each of which Xenna and Ray Data take seconds to start.
WORKFLOWS = ("test_fuzzy_workflow.py", "test_semantic_workflow.py", "test_examples_everywhere.py")
# A custodian's work again; of its kinds these are tried on Xenna every time.
FAULTS_ON_XENNA = (
    "deaths_of_every_kind",
    "hangs_in_native_code",
    "setup_that_raises",
    "before_they_work",
    "not_asked_for",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what needs Ray last. Leave to `make soak` what takes Xenna minutes."""
    items.sort(key=lambda item: item.get_closest_marker("ray") is not None)
    left = tuple(f"test_conformance[{name}-{part}-" for name, parts in IN_SOAK.items() for part in parts)
    for item in items:
        # Stages of one modality work in batch mode as they do in the stream, if the conformance cases do.
        whole = item.name.endswith("[xenna-batch]") and "test_conformance" not in item.name
        slow = item.path.name in WORKFLOWS and any(name in item.name for name in ("[xenna", "[ray-data"))
        fault = item.path.name == "test_faults_on_ray.py" and "[xenna" in item.name
        if item.name.startswith(left) or whole or slow or (fault and not any(k in item.name for k in FAULTS_ON_XENNA)):
            item.add_marker(pytest.mark.soak)


ON_RAY = [name for name in BACKENDS if not name.startswith("local")]
# Batches or a stream makes no difference to a custodian, and every run on Xenna takes seconds to start.
BREAKABLE = [name for name in ON_RAY if name != "xenna-batch"]


@pytest.fixture(params=[_param(name) for name in BACKENDS])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> BackendUnderTest:
    """Every backend in turn."""
    return _backend(request, tmp_path)


@pytest.fixture(params=[_param(name) for name in BREAKABLE])
def ray_backend(request: pytest.FixtureRequest, tmp_path: Path) -> BackendUnderTest:
    """Every backend on Ray in turn, for tests of what breaks."""
    return _backend(request, tmp_path)


def _backend(request: pytest.FixtureRequest, folder: Path) -> BackendUnderTest:
    name: str = request.param
    for word, package in NEEDS.items():
        if word in name:
            _have(package)
    if name in ON_RAY:
        request.getfixturevalue("connection")
    return BackendUnderTest(name, BACKENDS[name], folder)
