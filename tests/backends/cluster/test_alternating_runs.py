"""Runs of all backends in turn, in one process, leave it as it was."""

from __future__ import annotations

import os
import signal
from typing import Any

import psutil
import pytest

from nemo_curator.backends.registry import make_executor
from nemo_curator.pipeline import Pipeline
from nemo_curator.testing import numbers
from nemo_curator.testing.reference import interpret
from nemo_curator.testing.stages import Add, BatchAdd, Repeat

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

TURNS: list[tuple[str, dict[str, Any]]] = [
    ("local", {"num_workers": 2}),
    ("ray_actor_pool", {}),
    ("ray_data", {}),
    ("xenna", {"execution_mode": "streaming"}),
    ("xenna", {"execution_mode": "batch"}),
]
STAGES = [Add(1), Repeat(3), BatchAdd(1, 4)]
EXPECTED = sorted(identity for identity, _ in interpret(STAGES, range(10)))
OURS = (
    "nemo_curator.backends.workers",
    "ray::StageWorker",
    "ray::NodeResourceMonitor",
    "ray::NodeAgent",
    "ray::Steward",
)


def _state() -> dict[str, Any]:
    import ray

    return {
        "environment": dict(os.environ),
        "connected": ray.is_initialized(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "children": sorted(child.pid for child in psutil.Process().children()),
    }


def _ours() -> list[str]:
    """Return the command lines of processes that a run of ours, or its engine, has started."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(word in line for word in OURS):
            found.append(line[:200])
    return found


def test_twenty_runs_in_turn(cluster: str) -> None:
    before, processes = _state(), len(_ours())
    for number in range(20):
        name, options = TURNS[number % len(TURNS)]
        if name != "local":
            options = {**options, "address": cluster}
        pipeline = Pipeline(f"run-{number}", stages=list(STAGES))
        outputs = pipeline.run(make_executor(name, **options), initial_tasks=numbers(10))
        assert sorted(task.task_id for task in outputs or []) == EXPECTED, name
        assert _state() == before, name
    _wait_until_gone(processes)


def _wait_until_gone(count: int) -> None:
    """Ray needs a moment to notice that a driver is gone, and to end what it had."""
    import time

    deadline = time.monotonic() + 30
    while len(_ours()) > count:
        assert time.monotonic() < deadline, _ours()
        os.sched_yield()
