"""The nodes of a Ray cluster, and functions run on each of them."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.errors import ClusterError, MissingExtra
from nemo_curator.utils import ray_utils
from nemo_curator.utils.ray_utils import (
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


class Unconnected:
    """Ray as it is before anybody has connected."""

    @staticmethod
    def is_initialized() -> bool:
        return False


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
    pytest.importorskip("ray")
    monkeypatch.setitem(sys.modules, "ray", Unconnected)
    for ask in (get_head_node_id, lambda: submit_on_each_node(None), lambda: run_on_each_node(None)):
        with pytest.raises(ClusterError, match=r"not connected to a Ray cluster; connect first, with ray\.init"):
            ask()


def test_the_head_node_is_asked_for_once_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRay("head")
    monkeypatch.setattr(ray_utils, "connected_ray", lambda: fake)
    monkeypatch.setattr(ray_utils, "_known_head", {})
    assert [get_head_node_id() for _ in range(3)] == ["head"] * 3
    assert fake.asked == 1
    # Another cluster, perhaps at the same address.
    fake.context, fake.heads = FakeContext("10.0.0.1:6379", "02"), ("other",)
    assert [get_head_node_id() for _ in range(3)] == ["other"] * 3
    assert fake.asked == 2


def test_that_there_is_no_head_node_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRay()
    monkeypatch.setattr(ray_utils, "connected_ray", lambda: fake)
    monkeypatch.setattr(ray_utils, "_known_head", {})
    assert get_head_node_id() is None
    fake.heads = ("head",)
    assert get_head_node_id() == "head"


def _where(*said: str) -> tuple[str, ...]:
    import ray

    return (ray.get_runtime_context().get_node_id(), *said)


@pytest.mark.ray
def test_a_cluster_of_one_node(cluster: Any) -> None:
    head = get_head_node_id()
    assert head == cluster.nodes()[0]["NodeID"] == get_head_node_id()
    assert is_head_node(cluster.nodes()[0])
    remote = cluster.remote(_where)
    assert run_on_each_node(remote, "a", "b") == [(head, "a", "b")]
    assert run_on_each_node(remote, num_cpus=1) == [(head,)]
    assert submit_on_each_node(remote, ignore_head_node=True) == []
    assert run_on_each_node(remote, ignore_head_node=True) == []
    (ref,) = submit_on_each_node(remote, "c")
    assert cluster.get(ref) == (head, "c")


def _fail() -> None:
    message = "not here"
    raise ValueError(message)


@pytest.mark.ray
def test_what_a_function_raises_is_raised(cluster: Any) -> None:
    with pytest.raises(ValueError, match="not here"):
        run_on_each_node(cluster.remote(_fail))
    from ray.exceptions import TaskUnschedulableError

    with pytest.raises(TaskUnschedulableError):
        cluster.get(submit_on_node(cluster.remote(_where), get_head_node_id() or "", num_cpus=1000))


@pytest.mark.ray
@pytest.mark.slow
def test_every_node_runs_it_once_and_a_dead_one_does_not(cluster: Any, tmp_path: Path) -> None:
    from nemo_curator.core.cluster import end

    sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
    try:
        from ray_nodes import add_node
    finally:
        sys.path.pop(0)
    address = cluster.get_runtime_context().gcs_address
    remote = cluster.remote(_where)
    head = get_head_node_id()
    with ExitStack() as nodes:
        node = nodes.enter_context(add_node(address, tmp_path / "node.log"))
        _wait_for(cluster, 2)
        places = [place for (place,) in run_on_each_node(remote)]
        assert len(set(places)) == len(places) == 2
        assert head in places
        others = [place for (place,) in run_on_each_node(remote, ignore_head_node=True)]
        assert others == [place for place in places if place != head]
        end(node)
        _wait_for(cluster, 1)
        assert run_on_each_node(remote) == [(head,)]
    assert get_head_node_id() == head


def _wait_for(ray: Any, count: int) -> None:
    import time

    deadline = time.monotonic() + 60
    while sum(node["Alive"] for node in ray.nodes()) != count:
        assert time.monotonic() < deadline, f"{count} nodes were expected: {ray.nodes()}"
        time.sleep(0.1)
