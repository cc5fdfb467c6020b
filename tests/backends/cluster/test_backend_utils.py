"""What executors on Ray share with user code: configurations, questions about the cluster, preparing nodes, loggers."""

from __future__ import annotations

import logging
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from nemo_curator.backends.cluster.nodes import Node
from nemo_curator.backends.ray_actor_pool.executor import ActorPoolOptions, _capacity
from nemo_curator.backends.ray_actor_pool.utils import actors_for, calculate_optimal_actors_for_stage
from nemo_curator.backends.utils import (
    check_total_gpu_capacity,
    execute_setup_on_node,
    get_available_cpu_gpu_resources,
    get_worker_metadata_and_node_id,
    merge_executor_configs,
    register_loguru_serializer,
    warn_on_env_var_override,
)
from nemo_curator.engine.compile import compile_plan
from nemo_curator.errors import CapacityError, ClusterError, SetupFailed, UnpicklableError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.testing import Journal, Number
from nemo_curator.testing.stages import Add
from nemo_curator.utils.ray_utils import get_head_node_id

# Configurations


@pytest.mark.parametrize(
    ("base", "override", "merged"),
    [
        (None, None, {}),
        ({"a": 1}, None, {"a": 1}),
        (None, {"a": 1}, {"a": 1}),
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, {"a": 1, "b": 3, "c": 4}),
        ({"a": {"x": 1, "y": {"z": 1}}}, {"a": {"y": {"w": 2}}}, {"a": {"x": 1, "y": {"z": 1, "w": 2}}}),
        ({"a": {"x": 1}}, {"a": 2}, {"a": 2}),
        ({"a": 2}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": None}, {"a": None}),
    ],
)
def test_configurations_are_merged_deeply_and_the_second_wins(
    base: dict[str, Any] | None, override: dict[str, Any] | None, merged: dict[str, Any]
) -> None:
    assert merge_executor_configs(base, override) == merged


def test_a_merged_configuration_shares_nothing_with_its_parts() -> None:
    base = {"runtime_env": {"env_vars": {"A": "1"}, "pip": ["x"]}}
    override = {"runtime_env": {"env_vars": {"B": "2"}}, "list": [1]}
    merged = merge_executor_configs(base, override)
    merged["runtime_env"]["env_vars"]["C"] = "3"
    merged["runtime_env"]["pip"].append("y")
    merged["list"].append(2)
    assert base == {"runtime_env": {"env_vars": {"A": "1"}, "pip": ["x"]}}
    assert override == {"runtime_env": {"env_vars": {"B": "2"}}, "list": [1]}


def _variables(**values: str) -> dict[str, Any]:
    return {"runtime_env": {"env_vars": values}}


@pytest.mark.parametrize(
    ("existing", "merged", "told"),
    [
        (_variables(A="1", B="1"), _variables(A="2", B="1", C="3"), ["A"]),
        (_variables(A="1"), _variables(A="1"), []),
        (_variables(), _variables(A="1"), []),
        (_variables(A="1"), {}, []),
        (None, _variables(A="1"), []),
        (_variables(A="1"), None, []),
        ({"runtime_env": None}, {"runtime_env": {"env_vars": None}}, []),
    ],
)
def test_variables_that_are_overridden_are_told(
    existing: Any, merged: Any, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        warn_on_env_var_override(existing, merged)
    assert [record.getMessage().split()[3] for record in caplog.records] == told
    assert all("is '1' in runtime_env, and is overridden with '2'" in record.getMessage() for record in caplog.records)


# Loggers


def test_loggers_of_loguru_travel_once_that_is_registered() -> None:
    pytest.importorskip("loguru")
    # What is registered holds for the whole process; so this is another.
    code = (
        "import os, pickle, cloudpickle\n"
        "from loguru import logger\n"
        "from nemo_curator.backends.utils import register_loguru_serializer\n"
        "logger.add(open(os.devnull, 'w'))\n"
        "try:\n"
        "    cloudpickle.dumps(logger)\n"
        "except Exception as error:\n"
        "    print('before:', type(error).__name__)\n"
        "register_loguru_serializer()\n"
        "register_loguru_serializer()\n"
        "print(pickle.loads(pickle.dumps(logger)) is logger)\n"
        "print(pickle.loads(cloudpickle.dumps(logger.bind(job=1))) is logger)\n"
        "def closure(): logger.debug('x'); return 3\n"
        "print(pickle.loads(cloudpickle.dumps(closure))())\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["before: PicklingError", "True", "True", "3"]


def test_without_loguru_registering_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    for name in [name for name in sys.modules if name.split(".")[0] == "loguru"]:
        monkeypatch.delitem(sys.modules, name)
    register_loguru_serializer()


def test_nothing_heavy_is_imported_for_it() -> None:
    code = (
        "import sys; import nemo_curator.backends.utils, nemo_curator.backends.ray_actor_pool.utils, nemo_curator.utils.ray_utils;"
        "print(*({'ray', 'loguru', 'pandas', 'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


# The cluster


def _asks() -> dict[str, Any]:
    return {
        "worker": get_worker_metadata_and_node_id,
        "resources": get_available_cpu_gpu_resources,
        "gpus": lambda: check_total_gpu_capacity(1),
        "setup": lambda: execute_setup_on_node([Add(1)]),
        "actors": lambda: calculate_optimal_actors_for_stage(Add(1), 3),
    }


@pytest.mark.parametrize("ask", _asks().values(), ids=_asks())
def test_nobody_connects_by_asking(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    # Another test may have connected this process.
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ClusterError, match="not connected to a Ray cluster"):
        ask()


@pytest.mark.ray
def test_questions_about_a_cluster(connection: Any) -> None:
    node, worker = get_worker_metadata_and_node_id()
    assert node == NodeInfo(node_id=get_head_node_id() or "")
    assert worker.worker_id
    assert get_available_cpu_gpu_resources() == (2.0, 0.0)
    assert get_available_cpu_gpu_resources(init_and_shutdown=True) == (2.0, 0.0)
    assert connection.is_initialized(), "the connection was not this function's to end"
    assert get_available_cpu_gpu_resources(ignore_head_node=True) == (0.0, 0.0)
    check_total_gpu_capacity(0)
    with pytest.raises(RuntimeError, match="3 GPUs are needed, and the cluster has 0 available"):
        check_total_gpu_capacity(3)
    with pytest.raises(RuntimeError, match="1 GPUs are needed, and the cluster without its head node has 0 available"):
        check_total_gpu_capacity(1, ignore_head_node=True)
    assert calculate_optimal_actors_for_stage(Add(1), 100) == 2
    assert calculate_optimal_actors_for_stage(Add(1), 100, reserved_cpus=1.0) == 1
    with pytest.raises(CapacityError, match="on none of 0 nodes"):
        calculate_optimal_actors_for_stage(Add(1), 100, ignore_head_node=True)


@pytest.mark.ray
def test_what_is_reserved_is_not_available(connection: Any) -> None:
    reserves = connection.remote(lambda: get_available_cpu_gpu_resources())
    assert connection.get(reserves.options(num_cpus=1).remote()) == (1.0, 0.0)


# Actors of a pool


def _node(cpus: float, gpus: float = 0) -> Node:
    return Node("n", cpus, cpus, math.floor(gpus), gpus, 0, head=False)


def _stage(cpus: float = 1, gpus: float = 0, *, batch_size: int | None = 1, **counts: Any) -> ProcessingStage[Any, Any]:
    stage = Add(1).with_(name="work", resources=Resources(cpus=cpus, gpus=gpus), **counts)
    stage.batch_size = batch_size
    return stage


@pytest.mark.parametrize(
    ("stage", "tasks", "nodes", "actors"),
    [
        (_stage(), 100, [_node(4)], 4),
        (_stage(), 3, [_node(4)], 3),
        (_stage(), 0, [_node(4)], 1),
        (_stage(batch_size=10), 25, [_node(4)], 3),
        (_stage(batch_size=None), 3, [_node(4)], 3),
        (_stage(cpus=2), 100, [_node(5)], 2),
        # An actor is on one node.
        (_stage(cpus=2), 100, [_node(3), _node(3)], 2),
        (_stage(cpus=1, gpus=1), 100, [_node(8, 2), _node(8)], 2),
        (_stage(cpus=0.1), 100, [_node(0.3)], 3),
        (_stage(cpus=1, gpus=0.25), 100, [_node(8, 1)], 4),
        (_stage(cpus=0), 7, [_node(1)], 7),
        (_stage(num_workers=3), 1, [_node(4)], 3),
        (_stage(num_workers=9), 100, [_node(4)], 4),
        (_stage(num_workers_per_node=1.5), 1, [_node(4), _node(4)], 3),
        (_stage(num_workers_per_node=0.1), 100, [_node(4), _node(4)], 1),
        (_stage(cpus=0, num_workers=5), 1, [_node(1)], 5),
    ],
)
def test_actors_of_a_pool(stage: ProcessingStage[Any, Any], tasks: int, nodes: list[Node], actors: int) -> None:
    assert actors_for(stage, tasks, nodes) == actors


@pytest.mark.parametrize(("cpus", "workers"), [(1, 4), (0.5, 8), (2, 4)])
def test_workers_of_less_than_a_cpu_share_one(cpus: float, workers: int) -> None:
    plan = compile_plan([_stage(cpus=cpus)], first_task=Number("n", 0))
    assert _capacity([_node(3), _node(1)], ActorPoolOptions(), plan)[0].workers == workers
    assert _capacity([_node(3), _node(1)], ActorPoolOptions(num_workers=3), plan)[0].workers == 3


def test_who_fixes_more_workers_than_fit_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert actors_for(_stage(num_workers=9), 1, [_node(4)]) == 4
    assert "stage 'work' fixes 9 workers, and 4 fit now" in caplog.text


@pytest.mark.parametrize("nodes", [[], [_node(1)], [_node(1), _node(1)], [_node(4)]])
def test_a_stage_that_fits_nowhere_is_named(nodes: list[Node]) -> None:
    with pytest.raises(CapacityError, match="stage 'work' asks for 2 CPUs and 1 GPUs for an actor"):
        actors_for(_stage(cpus=2, gpus=1), 5, nodes)


# Nodes are prepared


class Prepared(ProcessingStage[Any, Any]):
    """Notes where it is prepared, or does worse."""

    def __init__(self, journal: Journal, name: str, does: str = "") -> None:
        self.journal, self.name, self.does = journal, name, does

    def process(self, task: Any) -> Any:
        return task

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        if self.does == "raise":
            message = "no room on the disk"
            raise OSError(message)
        if self.does == "crash":
            os._exit(3)
        assert node_info is not None
        assert worker_metadata is not None
        words = [os.environ["VLLM_WORKER_MULTIPROC_METHOD"], os.environ.get("OF_STAGE", "-")]
        self.journal.note(self.name, node_info.node_id, bool(worker_metadata.worker_id), *words)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    # Workers of a cluster need not find this file.
    this = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(this)
    yield Journal(tmp_path / "journal")
    cloudpickle.unregister_pickle_by_value(this)


@pytest.mark.ray
def test_every_stage_is_prepared_once_on_every_node(connection: Any, journal: Journal) -> None:
    first, second = Prepared(journal, "first"), Prepared(journal, "second")
    second.runtime_env = {"env_vars": {"OF_STAGE": "mine"}}
    execute_setup_on_node([first, Add(1), second])
    head = get_head_node_id()
    assert sorted(journal.lines()) == [f"first {head} True spawn -", f"second {head} True spawn mine"]
    assert "VLLM_WORKER_MULTIPROC_METHOD" not in os.environ
    assert connection.is_initialized()


@pytest.mark.ray
def test_a_stage_that_cannot_be_prepared_is_named(connection: Any, journal: Journal) -> None:
    with pytest.raises(
        SetupFailed, match=r"stage 'bad' .*failed in setup_on_node: OSError: no room on the disk"
    ) as caught:
        execute_setup_on_node([Prepared(journal, "good"), Prepared(journal, "bad", "raise")])
    assert "raised at" in caught.value.cause
    assert "setup_on_node" in caught.value.details
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


@pytest.mark.ray
def test_a_stage_that_workers_cannot_import_is_named(connection: Any, journal: Journal) -> None:
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    try:
        with pytest.raises(SetupFailed, match=r"stage 'far' .*failed in unpickling: .*must be able to import"):
            execute_setup_on_node([Prepared(journal, "far")])
    finally:
        cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.mark.ray
@pytest.mark.slow
def test_a_stage_whose_preparation_crashes_is_named(connection: Any, journal: Journal) -> None:
    with pytest.raises(SetupFailed, match=r"stage 'bad' .*failed in setup_on_node: .*Crashed"):
        execute_setup_on_node([Prepared(journal, "bad", "crash")])


@pytest.mark.ray
def test_what_cannot_run_or_travel_is_told_before_anything_is_prepared(connection: Any, journal: Journal) -> None:
    good = Prepared(journal, "good")
    large = Prepared(journal, "large").with_(resources=Resources(cpus=1000))
    with pytest.raises(CapacityError, match="stage 'large' asks for 1000 CPUs and 0 GPUs, and none of the 1 nodes"):
        execute_setup_on_node([good, large])
    with pytest.raises(CapacityError, match="stage 'good' asks for 1 CPUs and 0 GPUs, and none of the 0 nodes"):
        execute_setup_on_node([good], ignore_head_node=True)
    stuck = Prepared(journal, "stuck")
    stuck.stream = sys.stdout.buffer  # type: ignore[attr-defined]
    with pytest.raises(UnpicklableError, match=r"stage 'stuck' .*its attribute 'stream' cannot be pickled"):
        execute_setup_on_node([good, stuck])
    execute_setup_on_node([])
    assert journal.lines() == []


@pytest.mark.ray
def test_closures_with_loggers_run_on_ray(connection: Any) -> None:
    loguru = pytest.importorskip("loguru")
    register_loguru_serializer()
    logger = loguru.logger

    def closure() -> str:
        logger.debug("here")
        return type(logger).__module__

    assert connection.get(connection.remote(closure).remote()) == "loguru._logger"
    assert cloudpickle.dumps(closure)
