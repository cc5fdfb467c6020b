"""ProcessingStage, CompositeStage, the registry and the decorator."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from nemo_curator.stages.base import CompositeStage, ProcessingStage, get_stage_class
from nemo_curator.stages.function_decorators import processing_stage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks import AudioTask, Task
from nemo_curator.testing import Number, documents
from nemo_curator.testing.stages import Add, BatchAdd


class Plain(ProcessingStage[Number, Number]):
    """A stage."""

    name = "plain"

    def process(self, task: Number) -> Number:
        return task


def test_defaults() -> None:
    stage = Plain()
    assert (stage.batch_size, stage.resources, stage.num_workers()) == (1, Resources(cpus=1.0), None)
    assert (stage.inputs(), stage.outputs(), stage.xenna_stage_spec()) == (([], []), ([], []), {})
    assert stage.ray_stage_spec() == {"is_fanout_stage": False}
    assert repr(stage) == "Plain"
    assert (stage._name, stage._batch_size) == ("plain", 1)
    assert stage.get_config() == {
        "name": "plain",
        "resources": Resources(),
        "batch_size": 1,
        "supports_batch_processing": False,
    }


@dataclass
class Written(ProcessingStage[Number, Number]):
    """A stage whose constructor a dataclass writes."""

    path: str
    number: int = 3
    name: str = "written"

    def process(self, task: Number) -> Number:
        return task


@pytest.mark.parametrize(
    ("stage", "arguments"), [(Plain, []), (Written, ["path", "number", "name"]), (Add, ["amount"])]
)
def test_a_class_says_what_its_constructor_takes(stage: type, arguments: list[str]) -> None:
    assert list(inspect.signature(stage).parameters) == arguments


def test_classes_are_found_by_name() -> None:
    assert get_stage_class("Plain") is Plain
    with pytest.raises(KeyError, match="Did you mean 'Plain'"):
        get_stage_class("Plian")


@pytest.mark.parametrize(
    ("namespace", "message"),
    [
        ({"_name": "x"}, "_name, which is read-only"),
        ({"_batch_size": 3}, "_batch_size, which is read-only"),
        ({"name": property(lambda _: "x")}, "name is a property"),
        ({"runtime_env": property(lambda _: {})}, "runtime_env is a property"),
        ({"num_workers": 3}, "num_workers must stay a method"),
        ({"__annotations__": {"num_workers": int}}, "num_workers must stay a method"),
        ({"num_workers_per_node": 2}, "num_workers_per_node must stay a method"),
    ],
)
def test_classes_that_would_not_work_are_refused(namespace: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        type(Plain)("Wrong", (Plain,), namespace)


def test_with_gives_a_copy() -> None:
    stage = Add(1)
    changed = stage.with_(
        name="other",
        resources=Resources(cpus=2),
        batch_size=5,
        runtime_env={"env_vars": {}},
        ray_stage_spec={"max_workers": 3},
        xenna_stage_spec={"slots_per_actor": 1},
        num_workers=4,
    )
    assert (changed.name, changed.resources.cpus, changed.batch_size, changed.num_workers()) == ("other", 2, 5, 4)
    assert changed.ray_stage_spec() == {"is_fanout_stage": False, "max_workers": 3}
    assert changed.xenna_stage_spec() == {"slots_per_actor": 1}
    assert (stage.name, stage.batch_size, stage.num_workers()) == ("add", 1, None)
    assert changed.with_(num_workers=None).num_workers() is None
    changed.ray_stage_spec()["max_workers"] = 9
    assert changed.ray_stage_spec()["max_workers"] == 3


def test_worker_counts_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="fixes both num_workers and num_workers_per_node"):
        Add(1).with_(num_workers=2).with_(num_workers_per_node=1)
    with pytest.raises(ValueError, match="use with_"):
        Add(1).with_(xenna_stage_spec={"num_workers": 2})


class AsList(Plain):
    def process(self, task: Number) -> list[Number]:  # type: ignore[override]
        return [task]


class AsUnion(Plain):
    def process(self, task: Number) -> Number | list[Number] | None:  # type: ignore[override]
        return task


class AsIterator(Plain):
    def process(self, task: Number) -> Iterator[Number]:  # type: ignore[override]
        yield task


class AsBareList(Plain):
    def process(self, task: Number) -> list:  # type: ignore[override,type-arg]
        return [task]


class AsNonsense(Plain):
    def process(self, task: Number) -> NoSuchName:  # type: ignore[name-defined,override]  # noqa: F821
        return task


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (Plain(), False),
        (AsList(), True),
        (AsUnion(), True),
        (AsIterator(), True),
        (AsBareList(), False),
        (AsNonsense(), False),
    ],
)
def test_fan_out_is_read_from_annotations(stage: ProcessingStage, expected: bool) -> None:  # type: ignore[type-arg]
    assert stage.is_fanout_stage() is expected


class WantsText(Plain):
    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], ["text", "count"]


def test_a_frames_attribute_is_not_a_column() -> None:
    # A DataFrame has an attribute `count`; that makes it no column.
    assert not WantsText().validate_input(documents(["a"]))
    assert "no column 'count'" in WantsText().explain_invalid(documents(["a"]))
    assert WantsText().validate_input(documents(["a"], count=[1]))


def test_keys_of_an_audio_task_are_columns() -> None:
    assert WantsText().validate_input(AudioTask(data={"text": "x", "count": 1}))
    assert not WantsText().validate_input(AudioTask(data={"text": "x"}))


class Picky(Plain):
    def __init__(self, specs: object) -> None:
        self.specs = specs

    def inputs(self) -> object:  # type: ignore[override]
        return self.specs


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (["data"], "inputs\\(\\) of stage"),
        (([],), "must be a pair"),
        ({AudioTask: ([], [])}, "does not take Number; it takes: AudioTask"),
    ],
)
def test_wrong_specs_are_told(specs: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Picky(specs).input_spec_for_task(Number("n", 1))
    assert not Picky(specs).validate_input(Number("n", 1))


def test_the_most_specific_spec_applies() -> None:
    specs = {Task: (["data"], []), Number: (["content_id"], [])}
    assert Picky(specs).input_spec_for_task(Number("n", 1)) == (["content_id"], [])


def test_process_batch_of_the_base_splices_lists_and_keeps_none() -> None:
    assert [t.data for t in AsList().process_batch([Number("n", 1), Number("n", 2)])] == [1, 2]
    with pytest.raises(ValueError, match="cannot take task"):
        WantsText().process_batch([Number("n", 1)])


def test_metrics_are_noted_and_taken() -> None:
    stage = Plain()
    stage._log_metrics({"a": 1, "b": "no"})  # type: ignore[dict-item]
    with pytest.raises(KeyError), stage._time_metric("t"):
        raise KeyError
    metrics = stage._consume_custom_metrics()
    assert metrics["a"] == 1.0
    assert set(metrics) == {"a", "t"}
    assert stage._consume_custom_metrics() == {}


@dataclass
class Pair(CompositeStage[Number, Number]):
    """Two stages."""

    amount: int = 1
    name: str = "pair"
    more: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def decompose(self) -> list[ProcessingStage]:  # type: ignore[type-arg]
        return [Add(self.amount).with_(name="first"), BatchAdd(self.amount).with_(name="second")]


def test_a_composites_settings_apply_in_order_to_a_copy() -> None:
    pair = Pair()
    changed = pair.with_({"first": {"name": "one"}}).with_({"one": {"batch_size": 3}, "second": {"batch_size": 9}})
    assert [(s.name, s.batch_size) for s in changed.decompose_and_apply_with()] == [("one", 3), ("second", 9)]
    assert [s.name for s in pair.decompose_and_apply_with()] == ["first", "second"]


def test_a_composite_tells_unknown_parts() -> None:
    with pytest.raises(ValueError, match=r"no sub-stage 'frist'; it has: first, second\. Did you mean 'first'"):
        Pair().with_({"frist": {"batch_size": 2}}).decompose_and_apply_with()


def test_a_composite_never_runs_itself() -> None:
    with pytest.raises(RuntimeError, match="'pair' runs as its parts"):
        Pair().process(Number("n", 1))
    assert Pair().get_description() == "Composite stage: pair"


def test_a_function_becomes_a_stage() -> None:
    @processing_stage(name="twice", resources={"cpus": 2.0}, batch_size=4)
    def twice(task: Number) -> list[Number]:
        return [task, task]

    assert isinstance(twice, ProcessingStage)
    assert (twice.name, twice.resources.cpus, twice.batch_size) == ("twice", 2.0, 4)
    assert type(twice).__name__ == "twice"
    assert get_stage_class("twice") is type(twice)
    assert twice.is_fanout_stage()


def test_a_function_takes_one_task() -> None:
    with pytest.raises(ValueError, match="exactly one parameter, the task; it takes 2"):

        @processing_stage(name="wrong")
        def wrong(task: Number, other: Number) -> Number:
            return task


@pytest.mark.parametrize(
    "arguments", [{"gpus": 1, "gpu_memory_gb": 3}, {"gpu_memory_gb": 100}, {"cpus": -1}, {"gpus": -0.5}]
)
def test_resources_that_cannot_be(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"gpu|negative"):
        Resources(**arguments)


def test_gpu_memory_becomes_a_share() -> None:
    assert Resources(gpu_memory_gb=12).gpus == 0.5
    assert Resources(gpu_memory_gb=0.1).gpus == 0.1
    assert Resources(gpus=2).requires_gpu
    assert not Resources().requires_gpu
