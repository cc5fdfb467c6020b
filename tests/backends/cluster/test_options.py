"""What the executors on Ray, and stages for them, may be told: wrong options are refused before there is a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.backends.cluster.ray_specs import RayStageSpecKeys
from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor
from nemo_curator.backends.ray_data import RayDataExecutor
from nemo_curator.backends.xenna import XennaExecutor
from nemo_curator.errors import OptionError, PlanError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.testing.stages import Add

EXECUTORS: list[type[BaseExecutor]] = [RayActorPoolExecutor, RayDataExecutor, XennaExecutor]


class Specified(ProcessingStage[Any, Any]):
    """A stage that says what it is told to say."""

    name = "specified"

    def __init__(self, *, ray: dict[str, Any] | None = None, xenna: dict[str, Any] | None = None) -> None:
        self.ray, self.xenna = ray or {}, xenna or {}

    def process(self, task: Any) -> Any:
        return task

    def ray_stage_spec(self) -> dict[str, Any]:
        return self.ray

    def xenna_stage_spec(self) -> dict[str, Any]:
        return self.xenna


def _by_name(executor: type[BaseExecutor]) -> str:
    return executor.name


def _fixed(stage: Specified, *, total: int | None = None, per_node: float | None = None) -> Specified:
    return stage.with_(num_workers=total, num_workers_per_node=per_node)


# Options of executors


@pytest.mark.parametrize("executor", EXECUTORS, ids=_by_name)
@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"num_worker": 2}, "has no option 'num_worker'.*Did you mean 'num_workers'"),
        ({"runtimeenv": {}}, "Did you mean 'runtime_env'"),
        ({"max_attempt": 2}, "Did you mean 'max_attempts'"),
        ({"cpus": 2}, "has no option 'cpus'; it has: .*num_workers"),
        ({"num_workers": 0}, "num_workers must be a number above 0; got 0"),
        ({"num_workers": "2"}, "num_workers must be a whole number, or None; got '2'"),
        ({"num_workers": True}, "num_workers must be a whole number, or None; got True"),
        ({"address": 6379}, "address must be text, or None; got 6379"),
        ({"runtime_env": ["pip"]}, "runtime_env must be a dictionary"),
        ({"on_error": "ignore"}, "on_error must be one of 'fail', 'quarantine'; got 'ignore'"),
        ({"ignore_failures": True, "on_error": "fail"}, "contradicts"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_options_that_every_executor_refuses(executor: type[BaseExecutor], config: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said) as caught:
        executor(config)
    assert executor.__name__ in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("executor", "config", "said"),
    [
        (RayActorPoolExecutor, {"reserved_cpu": 1}, "Did you mean 'reserved_cpus'"),
        (RayActorPoolExecutor, {"reserved_cpus": "1"}, "reserved_cpus must be a number; got '1'"),
        (RayActorPoolExecutor, {"resource_wait_timeout": 1}, "Did you mean 'resource_wait_timeout_s'"),
        (RayActorPoolExecutor, {"max_workers_per_stage": 2}, "has no option 'max_workers_per_stage'"),
        (RayDataExecutor, {"max_workers_per_stages": 2}, "Did you mean 'max_workers_per_stage'"),
        (RayDataExecutor, {"max_workers_per_stage": 0}, "max_workers_per_stage must be a number above 0"),
        (RayDataExecutor, {"reserved_cpus": 1.0}, "has no option 'reserved_cpus'"),
        (XennaExecutor, {"execution_mode": "serving"}, "execution_mode must be one of 'streaming', 'batch'"),
        (XennaExecutor, {"execution_modes": "batch"}, "Did you mean 'execution_mode'"),
        (
            XennaExecutor,
            {"cpu_allocation_percentage": 95},
            "cpu_allocation_percentage must be a number above 0, up to 1",
        ),
        (
            XennaExecutor,
            {"cpu_allocation_percentage": 0},
            "cpu_allocation_percentage must be a number above 0, up to 1",
        ),
        (XennaExecutor, {"autoscale_interval_s": 0}, "autoscale_interval_s must be a number above 0"),
        (XennaExecutor, {"logging_interval": "60"}, "logging_interval must be a number; got '60'"),
        (XennaExecutor, {"slots_per_actor": 1.5}, "slots_per_actor must be a whole number; got 1.5"),
        (XennaExecutor, {"max_workers_per_stage": -1}, "max_workers_per_stage must be a number above 0"),
    ],
)
def test_options_that_one_executor_refuses(executor: type[BaseExecutor], config: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        executor(config)


@pytest.mark.parametrize(
    ("executor", "config"),
    [
        (RayActorPoolExecutor, {"runtime_env": {"env_vars": {"A": "1"}}, "reserved_cpus": 1, "reserved_gpus": 0.5}),
        (RayActorPoolExecutor, {"resource_wait_timeout_s": 1, "resource_wait_interval_s": 0.1, "num_workers": 2}),
        (RayDataExecutor, {"max_workers_per_stage": 3, "runtime_env": {}, "preserve_order": True}),
        (XennaExecutor, {"execution_mode": "batch", "logging_interval": 5, "cpu_allocation_percentage": 1}),
        (XennaExecutor, {"autoscale_interval_s": 10, "ignore_failures": True, "max_workers_per_stage": 2}),
    ],
)
def test_documented_options_are_read_from_either_side(executor: type[BaseExecutor], config: dict[str, Any]) -> None:
    by_dictionary, by_keyword = executor(config), executor(**config)
    assert by_dictionary.cluster == by_keyword.cluster  # type: ignore[attr-defined]
    assert by_dictionary.options == by_keyword.options


@pytest.mark.parametrize("executor", EXECUTORS, ids=_by_name)
def test_keywords_win_over_the_dictionary_which_stays_as_it_is(executor: type[BaseExecutor]) -> None:
    config = {"num_workers": 2}
    assert executor(config, num_workers=3).cluster.num_workers == 3  # type: ignore[attr-defined, call-arg]
    assert config == {"num_workers": 2}


def test_xenna_cannot_leave_the_head_node_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match=r"cannot leave the head node out.*--num-cpus=0.*RayActorPoolExecutor"):
        XennaExecutor(ignore_head_node=True)
    monkeypatch.setenv("CURATOR_IGNORE_RAY_HEAD_NODE", "yes")
    with pytest.raises(OptionError, match="cannot leave the head node out"):
        XennaExecutor()


@pytest.mark.parametrize("executor", [RayActorPoolExecutor, RayDataExecutor], ids=_by_name)
def test_others_leave_the_head_node_out_if_told(executor: type[BaseExecutor], monkeypatch: pytest.MonkeyPatch) -> None:
    assert executor(ignore_head_node=True).ignore_head_node
    assert not executor().ignore_head_node
    monkeypatch.setenv("CURATOR_IGNORE_RAY_HEAD_NODE", "True")
    assert executor().ignore_head_node


# What stages say: ray_stage_spec


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"is_actor_stages": True}, "Did you mean 'is_actor_stage'"),
        ({"min_worker": 1}, "Did you mean 'min_workers'"),
        ({"is_actor_stage": "yes"}, "is_actor_stage must be True or False, or None; got 'yes'"),
        ({"is_fanout_stage": 1}, "is_fanout_stage must be True or False; got 1"),
        ({"min_workers": 0}, "min_workers must be a number above 0"),
        ({"max_workers": 2.0}, "max_workers must be a whole number, or None"),
        ({"max_calls_per_worker": 0}, "max_calls_per_worker must be a number above 0"),
        ({"min_workers": 3, "max_workers": 2}, "max_workers must be at least min_workers=3; got 2"),
        ({"initial_workers": 3, "max_workers": 2}, "initial_workers must be a number from min_workers to max_workers"),
        ({"min_workers": 3, "initial_workers": 2}, "initial_workers must be a number from min_workers to max_workers"),
        ({"ray_remote_args": [1]}, "ray_remote_args must be a dictionary"),
        ({"ray_remote_args": {"num_cpus": 1}}, "ray_remote_args must be free of .*num_cpus"),
        ({"ray_remote_args": {"compute": 1, "memory": 1}}, "ray_remote_args must be free of compute"),
        ({"ray_num_cpus": "1"}, "ray_num_cpus must be a number, or None"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_ray_stage_specs_that_are_refused(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said) as caught:
        RayDataExecutor().plan([Specified(ray=spec)])
    assert "ray_stage_spec() of stage 'specified'" in str(caught.value)


@pytest.mark.parametrize("sizing", ["min_workers", "max_workers", "initial_workers"])
@pytest.mark.parametrize("fixed", [{"total": 2}, {"per_node": 1.5}])
def test_a_fixed_number_of_workers_contradicts_bounds(sizing: str, fixed: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=r"sizes its workers, but the stage fixes their number \((2|1\.5)\)"):
        RayDataExecutor().plan([_fixed(Specified(ray={sizing: 1}), **fixed)])


@pytest.mark.parametrize("executor", EXECUTORS, ids=_by_name)
@pytest.mark.parametrize("kind", ["is_raft_actor", "is_lsh_stage", "is_shuffle_stage"])
def test_nobody_takes_a_collective_for_an_ordinary_stage(executor: type[BaseExecutor], kind: str) -> None:
    with pytest.raises(PlanError, match=r"stage 'specified'.*is a collective of GPU workers.*Topology\.BARRIER"):
        executor().plan([Specified(ray={kind: True})])
    executor().plan([Specified(ray={kind: False})])


def test_the_actor_pool_refuses_keys_that_nobody_reads() -> None:
    with pytest.raises(OptionError, match="Did you mean 'is_actor_stage'"):
        RayActorPoolExecutor().plan([Specified(ray={"is_actor_stages": True})])


@pytest.mark.parametrize("key", list(RayStageSpecKeys))
def test_keys_of_a_ray_stage_spec_are_members_or_text(key: RayStageSpecKeys) -> None:
    values: dict[str, Any] = {"ray_remote_args": {"memory": 1}, "ray_num_cpus": 0.5}
    value = values.get(key, False if key.startswith("is_") else 2)
    by_member, by_text = (RayDataExecutor() for _ in range(2))
    by_member.plan([Specified(ray={key: value})])
    by_text.plan([Specified(ray={str(key): value})])
    assert by_member._specs == by_text._specs
    assert getattr(by_text._specs[0], key) == value


# What stages say: xenna_stage_spec


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"num_workers": 2},
            r"xenna_stage_spec\(\) of stage 'specified' .*has num_workers; use with_\(num_workers=...\)",
        ),
        ({"num_workers_per_nodes": 2}, "Did you mean 'num_workers_per_node'"),
        ({"slots": 2}, "has no option 'slots'; it has: .*slots_per_actor"),
        ({"num_workers_per_node": "2"}, "num_workers_per_node must be a number, or None; got '2'"),
        ({"num_run_attempts_python": 1.5}, "num_run_attempts_python must be a whole number, or None; got 1.5"),
        ({"ignore_failures": "no"}, "ignore_failures must be True or False, or None"),
        ({"slots_per_actor": "2"}, "slots_per_actor must be a whole number, or None"),
        ({"ignore_failures": True}, "sets ignore_failures=True, but the run has on_error='fail'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_xenna_stage_specs_that_are_refused(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said) as caught:
        XennaExecutor().plan([Specified(xenna=spec)])
    assert "stage 'specified'" in str(caught.value)


def test_the_number_of_workers_is_no_part_of_a_xenna_stage_spec() -> None:
    with pytest.raises(ValueError, match=r"cannot hold num_workers; use with_\(num_workers=...\)"):
        Add(1).with_(xenna_stage_spec={"num_workers": 2})


def test_a_number_per_node_contradicts_a_fixed_one() -> None:
    stage = _fixed(Specified(xenna={"num_workers_per_node": 1}), total=2)
    with pytest.raises(OptionError, match="has num_workers_per_node, but the stage fixes num_workers=2"):
        XennaExecutor().plan([stage])


@pytest.mark.parametrize("value", [0, -1, 0.0])
@pytest.mark.parametrize(
    "key", ["num_workers_per_node", "slots_per_actor", "num_run_attempts_python", "num_setup_attempts_python"]
)
def test_numbers_in_a_xenna_stage_spec_are_above_zero(key: str, value: float) -> None:
    with pytest.raises(PlanError, match=f"{key} must be"):
        XennaExecutor().plan([Specified(xenna={key: value})])


@pytest.mark.parametrize(
    "spec",
    [
        {"num_workers_per_node": 2},
        {"num_setup_attempts_python": 3, "num_run_attempts_python": 2, "reset_workers_on_failure": True},
        {"ignore_failures": False, "slots_per_actor": 4, "max_setup_failure_percentage": 10},
        {"worker_max_lifetime_m": 5, "worker_restart_interval_m": 1},
        {"worker_max_lifetime_m": 0, "slots_per_actor": None},
    ],
)
def test_documented_keys_of_a_xenna_stage_spec_are_read(spec: dict[str, Any]) -> None:
    plan = XennaExecutor().plan([Specified(xenna=spec)])
    (stage,) = plan.stages
    assert stage.num_workers_per_node == spec.get("num_workers_per_node")
    attempts = spec.get("num_run_attempts_python")
    assert (stage.retries.attempts if stage.retries else None) == attempts
    assert plan.segments[0].stages == plan.stages


@pytest.mark.parametrize("executor", EXECUTORS, ids=_by_name)
def test_an_executor_does_not_read_what_is_said_to_another(executor: type[BaseExecutor]) -> None:
    """One pipeline runs everywhere: Ray Data's keys are nothing to Xenna, nor Xenna's to Ray Data."""
    said: dict[str, Any] = {} if executor is RayDataExecutor else {"ray": {"min_workers": 2}}
    said |= {} if executor is XennaExecutor else {"xenna": {"slots_per_actor": 3}}
    executor().plan([Specified(**said)])
