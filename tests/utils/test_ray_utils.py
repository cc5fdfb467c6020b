"""The nodes of a Ray cluster, and functions run on each of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.errors import ClusterError, MissingExtra
from nemo_curator.utils import ray_utils
from nemo_curator.utils.ray_utils import (
    _head_node_id,
    connected_ray,
    get_head_node_id,
    is_head_node,
    run_on_each_node,
    submit_on_each_node,
    submit_on_node,
)


@pytest.mark.parametrize(
    ("node", "head"),
    [
        ({"Resources": {"CPU": 2.0, "node:__internal_head__": 1.0}}, True),
        ({"Resources": {"CPU": 2.0, "node:10.0.0.1": 1.0}}, False),
        ({"Resources": {}, "Alive": False}, False),
        ({}, False),
    ],
)
def test_the_head_node_is_known_by_its_resource(node: dict[str, Any], head: bool) -> None:
    assert is_head_node(node) is head


def test_without_ray_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    for name in [name for name in sys.modules if name == "ray" or name.startswith("ray.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtra, match=r"curator-backends\[ray\]"):
        connected_ray()


class FakeContext:
    """What Ray says about the connection."""

    def __init__(self, gcs_address: str, job: str) -> None:
        self.gcs_address, self._job = gcs_address, job

    def get_job_id(self) -> str:
        return self._job


class FakeRay:
    """A cluster of which it is counted how often it is asked for its nodes."""

    def __init__(self, *heads: str) -> None:
        self.context = FakeContext("10.0.0.1:6379", "01")
        self.heads = heads
        self.asked = 0

    def get_runtime_context(self) -> FakeContext:
        return self.context

    def nodes(self) -> list[dict[str, Any]]:
        self.asked += 1
        worker = {"NodeID": "worker", "Alive": True, "Resources": {"CPU": 1.0}}
        resources = {"node:__internal_head__": 1.0}
        return [worker, *({"NodeID": head, "Alive": True, "Resources": resources} for head in self.heads)]


def test_nobody_connects_by_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    # Another test may have connected this process.
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    for ask in (get_head_node_id, lambda: submit_on_each_node(None), lambda: run_on_each_node(None)):
        with pytest.raises(ClusterError, match=r"not connected to a Ray cluster; connect first, with ray\.init"):
            ask()


def test_the_head_node_is_asked_for_once_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRay("head")
    monkeypatch.setattr(ray_utils, "_known_head", {})
    assert [_head_node_id(fake) for _ in range(3)] == ["head"] * 3
    assert fake.asked == 1
    # Another cluster, perhaps at the same address.
    fake.context, fake.heads = FakeContext("10.0.0.1:6379", "02"), ("other",)
    assert [_head_node_id(fake) for _ in range(3)] == ["other"] * 3
    assert fake.asked == 2


def test_that_there_is_no_head_node_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRay()
    monkeypatch.setattr(ray_utils, "_known_head", {})
    assert _head_node_id(fake) is None
    fake.heads = ("head",)
    assert _head_node_id(fake) == "head"


def _where(ray: Any) -> Any:
    """Return a remote function that travels by value: workers of a cluster need not find this file."""

    def where(*said: str) -> tuple[str, ...]:
        import ray

        return (ray.get_runtime_context().get_node_id(), *said)

    return ray.remote(where)


@pytest.mark.ray
def test_a_cluster_of_one_node(connection: Any) -> None:
    head = get_head_node_id()
    assert [head] == [node["NodeID"] for node in connection.nodes() if is_head_node(node)]
    remote = _where(connection)
    assert run_on_each_node(remote, "a", "b") == [(head, "a", "b")]
    assert run_on_each_node(remote, num_cpus=1) == [(head,)]
    assert submit_on_each_node(remote, ignore_head_node=True) == []
    assert run_on_each_node(remote, ignore_head_node=True) == []
    (ref,) = submit_on_each_node(remote, "c")
    assert connection.get(ref) == (head, "c")


@pytest.mark.ray
def test_what_a_function_raises_is_raised(connection: Any) -> None:
    def fail() -> None:
        message = "not here"
        raise ValueError(message)

    with pytest.raises(ValueError, match="not here"):
        run_on_each_node(connection.remote(fail))
    with pytest.raises(connection.exceptions.TaskUnschedulableError):
        connection.get(submit_on_node(_where(connection), get_head_node_id() or "", num_cpus=1000))


TWO_NODES = """
import sys, time
from pathlib import Path
import ray
from nemo_curator.core.client import RayClient
from nemo_curator.core.cluster import end
from nemo_curator.backends.utils import get_available_cpu_gpu_resources
from nemo_curator.testing.nodes import add_node
from nemo_curator.utils.ray_utils import get_head_node_id, run_on_each_node

def where():
    return ray.get_runtime_context().get_node_id()

def wait_for(count):
    deadline = time.monotonic() + 60
    while sum(node["Alive"] for node in ray.nodes()) != count:
        assert time.monotonic() < deadline, ray.nodes()
        time.sleep(0.1)

with RayClient(num_cpus=2, include_dashboard=False, object_store_memory=80_000_000):
    ray.init(log_to_driver=False, configure_logging=False)
    remote, head, address = ray.remote(where), get_head_node_id(), ray.get_runtime_context().gcs_address
    with add_node(address, Path(sys.argv[1]), num_cpus=1) as node:
        wait_for(2)
        places = run_on_each_node(remote)
        print(len(places), len(set(places)), head in places)
        print(run_on_each_node(remote, ignore_head_node=True) == [place for place in places if place != head])
        print(get_available_cpu_gpu_resources(), get_available_cpu_gpu_resources(ignore_head_node=True))
        end(node)
        wait_for(1)
        print(run_on_each_node(remote) == [head], get_head_node_id() == head)
    ray.shutdown()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_every_node_runs_it_once_and_a_dead_one_does_not(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    # A cluster of its own: that of the session shall not have a node that has died.
    result = subprocess.run(
        [sys.executable, "-c", TWO_NODES, str(tmp_path / "node.log")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-4:] == ["2 2 True", "True", "(3.0, 0.0) (1.0, 0.0)", "True True"]
