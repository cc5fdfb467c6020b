"""What Ray Data makes of a plan."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from nemo_curator.backends.cluster.connection import named
from nemo_curator.backends.registry import make_executor
from nemo_curator.pipeline import Pipeline
from nemo_curator.testing import numbers
from nemo_curator.testing.stages import Add, Repeat

pytest.importorskip("ray")
pytestmark = pytest.mark.ray


def test_ray_data_fuses_no_segments(connection: Any) -> None:
    from ray.util.state import list_tasks

    pipeline = Pipeline("spread", stages=[Add(1), Repeat(5), Add(1), Add(1)])
    outputs = pipeline.run(make_executor("ray_data", fuse=False), initial_tasks=numbers(20)) or []
    assert outputs
    context = connection.get_runtime_context()
    with named(context.gcs_address):
        tasks = list_tasks(filters=[("job_id", "=", context.get_job_id())], limit=10_000, raise_on_missing_output=False)
    names = {task.name for task in tasks if "run_parcels" in task.name}
    # One task for what comes before and after a fan-out would keep its children where they were made.
    assert names
    assert not any("->" in name for name in names)


def test_a_run_reports_no_usage(connection: Any) -> None:
    from ray.util.state import list_actors

    before = dict(os.environ)
    outputs = Pipeline("quiet", stages=[Add(1), Repeat(2)]).run(make_executor("ray_data"), initial_tasks=numbers(20))
    assert outputs
    assert dict(os.environ) == before
    # Ray Data would count how it is used in an actor that stays, and for that ask Prometheus in a thread that never ends.
    assert not [thread.name for thread in threading.enumerate() if "usage" in thread.name]
    with named(connection.get_runtime_context().gcs_address):
        actors = list_actors(filters=[("ray_namespace", "=", "DataUsageCollectionActor")], limit=10_000)
    assert not actors
