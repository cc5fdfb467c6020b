"""Metadata and performance records."""

from __future__ import annotations

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks.utils import TaskPerfUtils
from nemo_curator.testing.backend import BackendUnderTest
from nemo_curator.testing.conformance.case import Cases
from nemo_curator.testing.stages import Add, BatchAdd, Count, GroupSum, Repeat
from nemo_curator.testing.tasks import Number, numbers

CASES = Cases("records")


@CASES
def one_record_a_stage_in_order(backend: BackendUnderTest) -> None:
    result = backend.run(Count(3), Add(1), BatchAdd(1))
    for task in result.outputs:
        assert [stats.stage_name for stats in task._stage_perf] == ["count", "add", "batch_add"]


@CASES
def stages_of_one_name_are_told_apart(backend: BackendUnderTest) -> None:
    result = backend.run(Add(1), Add(1), tasks=numbers(1))
    assert [stats.stage_name for stats in result.outputs[0]._stage_perf] == ["add", "add_2"]
    assert result.report.stage("add_2").tasks_in == 1


@CASES
def children_have_lists_of_their_own(backend: BackendUnderTest) -> None:
    result = backend.run(Repeat(4), Add(1), tasks=[Number("n", 4)])
    assert [len(task._stage_perf) for task in result.outputs] == [2, 2, 2]


@CASES
def children_have_metadata_of_their_own(backend: BackendUnderTest) -> None:
    seed = Number("n", 4)
    seed._metadata["source_files"] = ["f"]
    result = backend.run(Repeat(4), Mark(), tasks=[seed])
    assert sorted(task._metadata["mark"] for task in result.outputs) == [40, 41, 43]
    assert all(task._metadata["source_files"] == ["f"] for task in result.outputs)


@CASES
def a_new_task_inherits_metadata(backend: BackendUnderTest) -> None:
    seed = Number("n", 1)
    seed._metadata.update(a=1, b=1)
    result = backend.run(Fresh(), tasks=[seed])
    assert result.outputs[0]._metadata == {"a": 1, "b": 2}


@CASES
def a_group_inherits_what_its_members_agree_on(backend: BackendUnderTest) -> None:
    tasks = numbers(3)
    for task in tasks:
        task._metadata.update(same="x", own=task.data)
    result = backend.run(GroupSum(3), tasks=tasks)
    assert result.outputs[0]._metadata == {"same": "x"}


@CASES
def custom_metrics_reach_the_records(backend: BackendUnderTest) -> None:
    result = backend.run(Measuring(), tasks=numbers(3))
    metrics = [task._stage_perf[0].custom_metrics for task in sorted(result.outputs, key=lambda t: t.data)]
    assert [m["value"] for m in metrics] == [0.0, 1.0, 2.0]
    assert all(m["took"] >= 0 for m in metrics)


@CASES
def a_shared_record_is_counted_once(backend: BackendUnderTest) -> None:
    # One call makes 300 children, which travel in several bundles.
    result = backend.run(Count(300), Add(1))
    metrics = TaskPerfUtils.collect_stage_metrics(result.outputs)
    assert len(metrics["count"]["process_time"]) == 1
    assert metrics["add"]["num_items_processed"].sum() == 300


@CASES
def records_of_two_runs_stay_apart(backend: BackendUnderTest) -> None:
    outputs = [*backend.run(Count(3), Add(1)).outputs, *backend.run(Count(3), Add(1)).outputs]
    metrics = TaskPerfUtils.collect_stage_metrics(outputs)
    assert len(metrics["count"]["process_time"]) == 2
    assert len(metrics["add"]["process_time"]) == 6


@CASES
def items_and_calls_are_counted(backend: BackendUnderTest) -> None:
    result = backend.run(Count(10), BatchAdd(1, batch_size=4))
    counts = result.report.stage("batch_add")
    assert (counts.items_in, counts.items_out, counts.calls) == (10, 10, 3)


@CASES
def a_report_speaks_of_every_stage(backend: BackendUnderTest) -> None:
    report = backend.run(Count(10), Add(1), BatchAdd(1)).report
    assert [stage.name for stage in report.stages] == ["count", "add", "batch_add"]
    assert (report.status, report.tasks_fed, report.tasks_delivered) == ("completed", 1, 10)
    assert report.seconds > 0


class Mark(ProcessingStage[Number, Number]):
    """Writes into the metadata."""

    name = "mark"

    def process(self, task: Number) -> Number:
        """Note the number."""
        task._metadata["mark"] = task.data
        return task


class Fresh(ProcessingStage[Number, Number]):
    """Returns a new task with one key of its own."""

    name = "fresh"

    def process(self, task: Number) -> Number:
        """Copy nothing by hand."""
        new = Number("n", task.data)
        new._metadata["b"] = 2
        return new


class Measuring(ProcessingStage[Number, Number]):
    """Logs metrics."""

    name = "measuring"

    def process(self, task: Number) -> Number:
        """Log one number and one time."""
        with self._time_metric("took"):
            self._log_metric("value", task.data)
        return task
