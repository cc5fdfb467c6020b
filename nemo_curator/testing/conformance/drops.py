"""Drops, their reasons, and the books."""

from __future__ import annotations

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import NoneTask
from nemo_curator.testing.backend import BackendUnderTest
from nemo_curator.testing.conformance.case import Cases
from nemo_curator.testing.stages import Add, BatchKeep, Count, GroupSum, Keep, Repeat, RepeatLazily, Scripted
from nemo_curator.testing.tasks import Number, numbers

CASES = Cases("drops")


@CASES
def none_is_a_drop(backend: BackendUnderTest) -> None:
    result = backend.run(Keep(2), Add(1), tasks=numbers(5))
    assert result.values == [2, 4]
    assert result.report.stage("keep").tasks_dropped == {"none": 3}


@CASES
def a_drop_has_the_reason_that_was_given(backend: BackendUnderTest) -> None:
    script = {0: "drop", 1: "drop:too odd", 3: "drop:too odd", 4: "drop:four"}
    result = backend.run(Scripted(script), tasks=numbers(6))
    assert result.values == [2, 5]
    assert result.report.stage("scripted").tasks_dropped == {"none": 1, "too odd": 2, "four": 1}


@CASES
def an_empty_list_is_a_drop(backend: BackendUnderTest) -> None:
    result = backend.run(Repeat(4), tasks=numbers([0, 5, 1]))
    assert result.report.stage("repeat").tasks_dropped == {"empty": 2}


@CASES
def an_iterator_without_children_is_a_drop(backend: BackendUnderTest) -> None:
    result = backend.run(RepeatLazily(4), tasks=numbers([0, 5, 1]))
    assert result.report.stage("repeat_lazily").tasks_dropped == {"empty": 2}


@CASES
def empty_slots_of_a_list_cost_nobody_else(backend: BackendUnderTest) -> None:
    result = backend.run(Repeat(4), Add(0), tasks=[Number("n", 4)])
    assert result.values == [40, 41, 43]
    assert result.report.stage("repeat").tasks_kept == 1


@CASES
def a_list_of_sentinels_drops_with_their_reason(backend: BackendUnderTest) -> None:
    result = backend.run(AllDull(), tasks=numbers(2))
    assert result.report.stage("all_dull").tasks_dropped == {"dull": 2}


@CASES
def drops_in_a_batch_count_one_by_one(backend: BackendUnderTest) -> None:
    result = backend.run(BatchKeep(3, batch_size=4), tasks=numbers(10))
    assert result.report.stage("batch_keep").tasks_dropped == {"none": 4}


@CASES
def a_group_that_gives_nothing_drops_all_its_members(backend: BackendUnderTest) -> None:
    result = backend.run(Swallow(), tasks=numbers(7))
    assert result.outputs == []
    assert result.report.stage("swallow").tasks_dropped == {"empty": 7}
    assert result.report.sources_completed == 0


@CASES
def books_balance_stage_by_stage(backend: BackendUnderTest) -> None:
    result = backend.run(Count(50), Repeat(4), Keep(3), GroupSum(5))
    report = result.report
    for before, after in zip(report.stages, report.stages[1:], strict=False):
        assert before.counts.tasks_out == after.counts.tasks_in
    assert all(stage.counts.balanced for stage in report.stages)
    assert report.stages[-1].counts.tasks_out == report.tasks_delivered == len(result.outputs)
    assert report.imbalances() == []


@CASES
def sources_complete_through_drops_and_groups(backend: BackendUnderTest) -> None:
    result = backend.run(Count(50), Repeat(4), Keep(3), GroupSum(5))
    assert result.report.sources_completed == 50
    assert result.report.sources_failed == 0


@CASES
def items_that_a_stage_left_out_are_counted(backend: BackendUnderTest) -> None:
    result = backend.run(Sieve(), tasks=numbers(6))
    assert result.report.stage("sieve").items_dropped == {"even": 3}


class AllDull(ProcessingStage[Number, Number]):
    """Returns a list of nothing but sentinels."""

    name = "all_dull"

    def process(self, task: Number) -> list[NoneTask]:  # type: ignore[override]
        """Return two."""
        return [NoneTask(reason="dull"), NoneTask(reason="dull")]


class Swallow(ProcessingStage[Number, Number]):
    """Makes nothing of a batch."""

    name = "swallow"
    batch_size = 3

    def process(self, task: Number) -> None:
        """Return nothing."""

    def process_batch(self, tasks: list[Number]) -> list[Number]:
        """Return nothing."""
        return []


class Sieve(ProcessingStage[Number, Number]):
    """Says that it left something out of every even task."""

    name = "sieve"

    def process(self, task: Number) -> Number:
        """Count a drop for an even number."""
        self.record_drops("even", int(task.data % 2 == 0))
        return task
