"""A cluster of three nodes, one of which dies in the middle of a run: the run finishes, nothing is lost, nothing is doubled."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import psutil
import pytest

from nemo_curator.backends.registry import make_executor
from nemo_curator.core.client import RayClient
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.testing import Journal, Number, numbers
from nemo_curator.testing.nodes import add_node, joined
from nemo_curator.testing.stages import Repeat

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(400)]

COUNT = 120


class Slow(ProcessingStage[Number, Number]):
    """Notes on which node it is, and takes a moment."""

    name = "slow"

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.node = ""

    def setup(self, worker_metadata: Any = None) -> None:
        self.node = worker_metadata.worker_id

    def process(self, task: Number) -> Number:
        self.journal.note("at", self.node)
        threading.Event().wait(0.05)
        return task


@pytest.fixture(scope="module")
def head() -> Iterator[str]:
    with RayClient(num_cpus=2, object_store_memory=200_000_000):
        yield os.environ.pop("RAY_ADDRESS")


def _kill(node: Popen[bytes]) -> None:
    """Kill a node as a power cut would: all its processes at once."""
    processes = psutil.Process(node.pid).children(recursive=True)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("name", ["ray_actor_pool", "ray_data", "xenna"])
def test_a_node_is_lost_in_mid_run(name: str, head: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    # Connected before there are others on this machine: a driver dies with the node that it is on.
    with (
        joined(head) as ray,
        add_node(head, tmp_path / "one.log", num_cpus=2) as first,
        add_node(head, tmp_path / "two.log", num_cpus=2),
    ):
        while len([node for node in ray.nodes() if node["Alive"]]) < 3:
            threading.Event().wait(0.1)
        before = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        pipeline = Pipeline("lost", stages=[Repeat(4), Slow(journal).with_(batch_size=1)])
        whole = Pipeline("whole", stages=[Repeat(4), Slow(Journal(tmp_path / "other"))]).run(
            make_executor("local", mode="inline"), initial_tasks=numbers(COUNT)
        )
        stream = pipeline.stream(make_executor(name, stall_timeout_s=100.0), initial_tasks=numbers(COUNT))
        outputs = [next(stream) for _ in range(20)]
        _kill(first)
        outputs += stream
    assert sorted(task.task_id for task in outputs) == sorted(task.task_id for task in whole or [])
    report = pipeline.last_report
    assert report is not None
    assert report.imbalances() == []
    assert len(before) == 3
