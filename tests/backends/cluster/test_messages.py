"""What is wrong with a cluster is told in a sentence, before any worker starts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.backends.registry import make_executor
from nemo_curator.errors import CapacityError, ClusterError, UnpicklableError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.resources import Resources
from nemo_curator.testing import numbers
from nemo_curator.testing.stages import Add

pytest.importorskip("ray")
pytestmark = pytest.mark.ray

NAMES = ["xenna", "ray_data", "ray_actor_pool"]


def _run(name: str, *stages: Any, **options: Any) -> Any:
    return Pipeline("told", stages=list(stages or [Add(1)])).run(
        make_executor(name, **options), initial_tasks=numbers(2)
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_cluster_at_the_address(name: str) -> None:
    start = time.monotonic()
    with pytest.raises(ClusterError, match=r"there is no Ray cluster at 127\.0\.0\.1:1 .*start one .*or give none"):
        _run(name, address="127.0.0.1:1")
    assert time.monotonic() - start < 10


def test_an_address_that_is_none() -> None:
    with pytest.raises(ClusterError, match=r"is host:port, such as .*; got 'nowhere'"):
        _run("ray_actor_pool", address="nowhere")


@pytest.mark.parametrize("name", NAMES)
def test_not_enough_cpus(name: str, cluster: str) -> None:
    stage = Add(1).with_(resources=Resources(cpus=64))
    with pytest.raises(CapacityError, match=r"stage 'add' \(added at .*\) needs 64 CPUs, but this run has"):
        _run(name, stage, address=cluster)


@pytest.mark.parametrize("name", NAMES)
def test_not_enough_gpus(name: str, cluster: str) -> None:
    stage = Add(1).with_(resources=Resources(gpus=1))
    with pytest.raises(CapacityError, match=r"stage 'add' \(added at .*\) needs 1 GPUs, but this run has 0"):
        _run(name, stage, address=cluster)


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_that_cannot_travel(name: str, cluster: str) -> None:
    stage = Add(1)
    stage.lock = threading.Lock()  # type: ignore[attr-defined]
    with pytest.raises(UnpicklableError, match=r"stage .add. .* its attribute 'lock' cannot be pickled"):
        _run(name, stage, address=cluster)


@pytest.mark.parametrize(("name", "package", "extra"), [("xenna", "cosmos_xenna", "xenna"), ("ray_data", "ray", "ray")])
def test_a_package_is_missing(name: str, package: str, extra: str) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from nemo_curator.backends.registry import make_executor\n"
        "from nemo_curator.pipeline import Pipeline\n"
        "from nemo_curator.testing.stages import Count\n"
        f"Pipeline('p', stages=[Count(1)]).run(make_executor({name!r}, address='127.0.0.1:1'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"pip install 'curator-backends[{extra}]'" in done.stderr


def test_xenna_needs_the_state_api() -> None:
    from nemo_curator.core.client import RayClient

    with RayClient(num_cpus=1, include_dashboard=False, object_store_memory=100_000_000):
        address = os.environ.pop("RAY_ADDRESS")
        start = time.monotonic()
        with pytest.raises(ClusterError, match="start the cluster with its dashboard"):
            _run("xenna", address=address)
        assert time.monotonic() - start < 15


def _other_python() -> str | None:
    """Return an interpreter of another Python version with this package and Ray, where tests have set one up."""
    root = Path(__file__).parents[3]
    for folder in (".venv", ".venv-newer"):
        python = root / folder / "bin" / "python"
        if not python.exists():
            continue
        code = "import sys, importlib.util as u; print(*sys.version_info[:2]); sys.exit(u.find_spec('ray') is None)"
        said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        if said.returncode == 0 and tuple(map(int, said.stdout.split())) != sys.version_info[:2]:
            return str(python)
    return None


def test_a_cluster_of_another_version(cluster: str) -> None:
    other = _other_python()
    if other is None:
        pytest.skip("there is no other Python with Ray; `make test` sets one up at its end")
    program = (
        "from nemo_curator.backends.registry import make_executor\n"
        "from nemo_curator.pipeline import Pipeline\n"
        "from nemo_curator.testing.stages import Count\n"
        f"Pipeline('p', stages=[Count(1)]).run(make_executor('ray_actor_pool', address={cluster!r}))\n"
    )
    done = subprocess.run([other, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "ClusterError" in done.stderr
    assert "runs other versions than this process" in done.stderr
