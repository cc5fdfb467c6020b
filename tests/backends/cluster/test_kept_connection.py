"""Runs that follow one another keep their connection to a cluster, and a cluster that was started for them."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_curator.backends.registry import make_executor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.steps_workflow import Steps
from nemo_curator.testing import numbers
from nemo_curator.testing.reference import interpret
from nemo_curator.testing.stages import Add, Count, Repeat

ray: Any = pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

STAGES = [Add(1), Repeat(3)]
EXPECTED = sorted(identity for identity, _ in interpret(STAGES, range(6)))


def _run(executor: Any) -> None:
    outputs = Pipeline("kept", stages=STAGES).run(executor, initial_tasks=numbers(6)) or []
    assert sorted(task.task_id for task in outputs) == EXPECTED


@pytest.mark.parametrize("name", ["ray_actor_pool", "ray_data", "xenna"])
def test_runs_in_a_block_are_one_job(cluster: str, name: str) -> None:
    executor = make_executor(name, address=cluster)
    with executor.keeping_workers():
        job = ray.get_runtime_context().get_job_id()
        for _ in range(2):
            # A block in a block ends nothing.
            with executor.keeping_workers():
                _run(executor)
            assert ray.get_runtime_context().get_job_id() == job
    assert not ray.is_initialized()


def test_a_cluster_that_is_started_for_runs_is_started_once() -> None:
    executor = make_executor("ray_actor_pool")
    with executor.keeping_workers():
        address = executor.cluster_address
        for _ in range(2):
            _run(executor)
            assert executor.cluster_address == address
    assert not ray.is_initialized()
    assert executor.cluster_address is None


def test_after_a_cluster_of_its_own_a_run_joins_another(cluster: str) -> None:
    # The first asks for tokens, as all do that Ray starts for a program, and the second does not.
    _run(make_executor("ray_actor_pool"))
    _run(make_executor("ray_actor_pool", address=cluster))


def test_a_block_that_raises_disconnects(cluster: str) -> None:
    executor = make_executor("ray_actor_pool", address=cluster)
    with pytest.raises(ValueError, match="over"), executor.keeping_workers():
        raise ValueError("over")
    assert not ray.is_initialized()


def test_a_workflow_connects_again_for_another_executor(cluster: str) -> None:
    first, second = (make_executor("ray_actor_pool", address=cluster) for _ in range(2))
    jobs = []
    with Steps("kept", first, None) as steps:
        for executor in (first, first, second):
            steps.executor = executor
            assert len(steps.run("counting", Count(3), of=None, timed="seconds")) == 3
            jobs.append(ray.get_runtime_context().get_job_id())
    assert jobs[0] == jobs[1] != jobs[2]
    assert not ray.is_initialized()
