"""Composites, options, roles, initial tasks."""

from __future__ import annotations

import pytest

from nemo_curator.errors import OptionError
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.function_decorators import processing_stage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks import EmptyTask
from nemo_curator.testing.backend import BackendUnderTest
from nemo_curator.testing.conformance.case import Cases
from nemo_curator.testing.stages import Add, Count, Keep
from nemo_curator.testing.tasks import Number, numbers, values

CASES = Cases("plans")


class AddTwice(CompositeStage[Number, Number]):
    """Two stages."""

    name = "add_twice"

    def decompose(self) -> list[ProcessingStage]:  # type: ignore[type-arg]
        """Return two."""
        return [Add(1).with_(name="one"), Add(2).with_(name="two")]


class Nested(CompositeStage[Number, Number]):
    """A composite of a composite."""

    name = "nested"

    def decompose(self) -> list[ProcessingStage]:  # type: ignore[type-arg]
        """Return a composite and a stage."""
        return [AddTwice(), Keep(2)]


@processing_stage(name="halve")
def halve(task: Number) -> Number | None:
    """Halve even numbers, drop odd ones."""
    if task.data % 2:
        return None
    return Number("n", task.data // 2)


@CASES
def a_composite_runs_as_its_parts(backend: BackendUnderTest) -> None:
    result = backend.run(AddTwice(), tasks=numbers(3))
    assert result.values == [3, 4, 5]
    assert [stage.name for stage in result.report.stages] == ["one", "two"]


@CASES
def a_nested_composite_too(backend: BackendUnderTest) -> None:
    assert backend.run(Nested(), tasks=numbers(4)).values == [3, 5]


@CASES
def settings_of_a_composites_parts(backend: BackendUnderTest) -> None:
    composite = AddTwice().with_({"two": {"name": "renamed", "batch_size": 3}})
    result = backend.run(composite, tasks=numbers(3))
    assert [stage.name for stage in result.report.stages] == ["one", "renamed"]


@CASES
def a_function_is_a_stage(backend: BackendUnderTest) -> None:
    result = backend.run(halve, Add(0), tasks=numbers(5))
    assert result.values == [0, 1, 2]
    assert result.report.stage("halve").tasks_dropped == {"none": 2}


@CASES
def a_closure_is_a_stage(backend: BackendUnderTest) -> None:
    shift = 100

    @processing_stage(name="shift")
    def shifted(task: Number) -> Number:
        return Number("n", task.data + shift)

    assert backend.run(shifted, tasks=numbers(2)).values == [100, 101]


@CASES
def a_class_of_a_function_travels_by_value(backend: BackendUnderTest) -> None:
    class Local(ProcessingStage[Number, Number]):
        name = "local"

        def process(self, task: Number) -> Number:
            task.data -= 1
            return task

    assert backend.run(Local(), tasks=numbers(2)).values == [-1, 0]


@CASES
def no_initial_tasks_means_the_seed(backend: BackendUnderTest) -> None:
    assert backend.run(Count(2), tasks=[]).values == [0, 1]


@CASES
def initial_tasks_may_be_an_iterator(backend: BackendUnderTest) -> None:
    assert backend.run(Add(1), tasks=iter(numbers(30))).values == list(range(1, 31))


@CASES
def a_given_seed_is_zero_too(backend: BackendUnderTest) -> None:
    assert backend.run(Count(2), tasks=[EmptyTask()]).ids == ["0_0", "0_1"]


@CASES
def execute_takes_stages_and_tasks(backend: BackendUnderTest) -> None:
    assert values(backend.make().execute([Add(1), Add(1)], numbers(2))) == [2, 3]


@CASES
def unknown_options_are_refused(backend: BackendUnderTest) -> None:
    with pytest.raises(OptionError, match=r"has no option 'preserve_oder'.*Did you mean 'preserve_order'"):
        backend.make(preserve_oder=True)


@CASES
def ignore_failures_is_quarantine(backend: BackendUnderTest) -> None:
    assert backend.make(ignore_failures=True).options.on_error == "quarantine"


@CASES
def stages_of_many_shapes_share_a_machine(backend: BackendUnderTest) -> None:
    stages = [Add(1).with_(resources=Resources(cpus=cpus)) for cpus in (0.25, 1, 2, 0.5, 1, 2)]
    assert backend.run(*stages, tasks=numbers(40), bundle_seconds=0.001).values == list(range(6, 46))


@CASES
def twenty_stages_on_one_worker_and_on_two(backend: BackendUnderTest) -> None:
    stages = [Add(1).with_(name=f"s{number}") for number in range(20)]
    # Not fused on one worker is where they could wait for each other.
    for workers, fuse in ((1, False), (2, True)):
        result = backend.run(*stages, tasks=numbers(5), fuse=fuse, num_workers=workers)
        assert result.values == [20, 21, 22, 23, 24]


@CASES
def a_pipeline_explains_itself(backend: BackendUnderTest) -> None:
    text = backend.pipeline(Count(3), Add(1), Add(1).with_(batch_size=4)).explain(backend.make())
    assert "3 stages in" in text
    assert "exactly 4 tasks" in text
