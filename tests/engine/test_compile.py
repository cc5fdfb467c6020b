"""From stages to a plan: names, roles, fusion, checks."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.engine.compile import compile_plan
from nemo_curator.errors import ChainError, PlanError
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.retries import Retries
from nemo_curator.tasks import DocumentBatch, EmptyTask, FileGroupTask, Task
from nemo_curator.testing import Number
from nemo_curator.testing.stages import Add, BatchAdd, CollectAll, Count, Keep, Repeat

FIRST = Number("n", 0)


def _names(*names: str) -> list[str]:
    return [stage.name for stage in compile_plan([Add(1).with_(name=name) for name in names], first_task=FIRST).stages]


def test_names_are_made_unique() -> None:
    assert _names("a", "a", "b", "a") == ["a", "a_2", "b", "a_3"]
    assert _names("a", "a", "a_2") == ["a", "a_3", "a_2"]


@given(st.lists(st.sampled_from(["a", "a_2", "a_3", "b", "a_2_2"]), min_size=1, max_size=9))
def test_names_are_unique_whatever_they_were(names: list[str]) -> None:
    found = _names(*names)
    assert len(set(found)) == len(found)
    assert all(new.startswith(old) for new, old in zip(found, names, strict=True))


def test_the_first_stage_is_the_source_and_the_last_the_sink() -> None:
    plan = compile_plan([Count(1), Add(1), Add(1)])
    assert [(stage.is_source, stage.is_sink) for stage in plan.stages] == [(True, False), (False, False), (False, True)]


def test_compiling_changes_no_stage() -> None:
    stages = [Count(1), Add(1), Add(1)]
    before = copy.deepcopy([vars(stage) for stage in stages])
    compile_plan(stages)
    assert [vars(stage) for stage in stages] == before


def test_a_plan_can_be_pickled_and_compared_as_text() -> None:
    plan = compile_plan([Count(1), Add(1)])
    assert [stage.name for stage in pickle.loads(pickle.dumps(plan)).stages] == ["count", "add"]


@pytest.mark.parametrize(
    ("stages", "segments", "reason"),
    [
        ([Add(1), Add(1), Keep(2)], [3], ""),
        ([Repeat(2), Add(1), Add(1)], [1, 2], "fans out"),
        ([Add(1), BatchAdd(1, batch_size=4), Add(1)], [1, 2], "exactly 4 tasks"),
        ([Add(1), CollectAll(), Add(1)], [1, 1, 1], "barrier"),
        ([Add(1), Add(1).with_(resources=Resources(cpus=2))], [1, 1], "another kind of worker"),
        ([Add(1), Add(1).with_(resources=Resources(cpus=0.5))], [2], ""),
        ([Add(1), Add(1).with_(num_workers=2)], [1, 1], "different numbers of workers"),
        ([Add(1).with_(num_workers=2), Add(1).with_(num_workers=2)], [2], ""),
        ([Add(1), Add(1).with_(runtime_env={"env_vars": {"A": "1"}})], [1, 1], "environment"),
    ],
)
def test_fusion(stages: list[ProcessingStage], segments: list[int], reason: str) -> None:  # type: ignore[type-arg]
    plan = compile_plan(stages, first_task=FIRST)
    assert [len(segment.stages) for segment in plan.segments] == segments
    assert any(reason in segment.starts_because for segment in plan.segments)


def test_fusion_can_be_turned_off() -> None:
    plan = compile_plan([Add(1), Add(1)], first_task=FIRST, fuse_stages=False)
    assert [len(segment.stages) for segment in plan.segments] == [1, 1]


class Endless(CompositeStage[Number, Number]):
    """Stands for itself."""

    name = "endless"

    def decompose(self) -> list[ProcessingStage]:  # type: ignore[type-arg]
        return [Endless()]


def test_a_composite_of_itself_is_refused() -> None:
    with pytest.raises(PlanError, match=r"'endless'.*never ends"):
        compile_plan([Endless()], first_task=FIRST)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "7", True])
def test_batch_sizes_are_checked(batch_size: object) -> None:
    stage = Add(1)
    stage.batch_size = batch_size  # type: ignore[assignment]
    with pytest.raises(PlanError, match=r"'add'.*batch_size must be a whole number"):
        compile_plan([stage], first_task=FIRST)


class Reads(ProcessingStage[FileGroupTask, DocumentBatch]):
    """Makes documents with known columns."""

    name = "reads"
    outputs_are_complete = True

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], ["id", "text"]

    def process(self, task: FileGroupTask) -> DocumentBatch:
        raise RuntimeError(task)


class Wants(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Wants columns, and may add others."""

    name = "wants"

    def __init__(self, *columns: str, complete: bool, adds: tuple[str, ...] = ()) -> None:
        self.columns, self.outputs_are_complete, self.adds = list(columns), complete, list(adds)

    def inputs(self) -> tuple[list[str], list[str]]:
        return ["data"], self.columns

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], self.adds

    def process(self, task: DocumentBatch) -> DocumentBatch:
        return task


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf"), True, "5"])
def test_time_limits_are_checked(timeout_s: object) -> None:
    stage = Add()
    stage.timeout_s = timeout_s  # type: ignore[assignment]
    with pytest.raises(PlanError, match=r"stage 'add' .*: timeout_s must be a number of seconds above 0, or None; got"):
        compile_plan([stage], first_task=Number("n", 0))


def test_retries_are_checked() -> None:
    stage = Add().with_(retries=3)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match=r"stage 'add' .*: retries must be a Retries\(...\), or None; got 3"):
        compile_plan([stage], first_task=Number("n", 0))


def test_limits_are_part_of_the_plan() -> None:
    stage = Add().with_(timeout_s=5, retries=Retries(attempts=2), resources=Resources(memory_gb=1.5))
    (planned,) = compile_plan([stage], first_task=Number("n", 0)).stages
    assert (planned.timeout_s, planned.retries, planned.memory_bytes) == (5.0, Retries(attempts=2), 3 * 1024**3 // 2)


def test_columns_are_followed_through_the_chain() -> None:
    first = FileGroupTask("d", ["f"])
    compile_plan(
        [Reads(), Wants("text", complete=True, adds=("score",)), Wants("score", complete=True)], first_task=first
    )
    with pytest.raises(ChainError, match=r"'wants_2'.*needs column 'scroe'.*Did you mean 'score'"):
        compile_plan(
            [Reads(), Wants("text", complete=True, adds=("score",)), Wants("scroe", complete=True)], first_task=first
        )


def test_a_stage_that_may_add_anything_is_not_held_against_a_later_one() -> None:
    stages = [Reads(), Wants("text", complete=False), Wants("anything", complete=True)]
    assert len(compile_plan(stages, first_task=FileGroupTask("d", ["f"])).stages) == 3


class Anything(ProcessingStage[Task, Task]):  # type: ignore[type-arg]
    """Takes any task."""

    name = "anything"

    def process(self, task: Task) -> Task:  # type: ignore[type-arg]
        return task


class ByType(ProcessingStage):  # type: ignore[type-arg]
    """Says what it takes by a dictionary."""

    name = "by_type"

    def inputs(self) -> dict[type[Task], tuple[list[str], list[str]]]:  # type: ignore[type-arg,override]
        return {DocumentBatch: ([], ["text"]), FileGroupTask: (["data"], [])}

    def process(self, task: Task) -> Task:  # type: ignore[type-arg]
        return task


def test_types_are_followed_through_the_chain() -> None:
    compile_plan([Anything(), Add(1)], first_task=FIRST)
    compile_plan([ByType()], first_task=FileGroupTask("d", ["f"]))
    with pytest.raises(ChainError, match="takes DocumentBatch or FileGroupTask, but the run starts from Number"):
        compile_plan([ByType()], first_task=FIRST)
    with pytest.raises(ChainError, match="takes EmptyTask, but stage 'add' gives Number"):
        compile_plan([Add(1), Count(2)], first_task=FIRST)
    assert isinstance(EmptyTask(), Task)
