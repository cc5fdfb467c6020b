"""Pipeline: building, describing, explaining; workflows; the registry."""

from __future__ import annotations

import threading

import pytest

from nemo_curator.backends.base import BaseExecutor, BaseStageAdapter
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.registry import available_backends, get_executor_class, make_executor
from nemo_curator.errors import OptionError, PlanError, StageFailed
from nemo_curator.pipeline import Pipeline, WorkflowBase, WorkflowRunResult, assign_root_task_ids
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks import DocumentBatch, EmptyTask, FileGroupTask, NoneTask
from nemo_curator.testing import Number, numbers
from nemo_curator.testing.conformance.plans import Nested
from nemo_curator.testing.stages import Add, Count, Keep, Repeat, Scripted


class Described(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Needs and gives."""

    name = "described"
    resources = Resources(cpus=2, gpus=1)
    batch_size = 4

    def inputs(self) -> dict:  # type: ignore[type-arg,override]
        return {DocumentBatch: (["data"], ["text"]), FileGroupTask: ([], [])}

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], ["score"]

    def process(self, task: DocumentBatch) -> DocumentBatch:
        return task


class Shy(Add):
    """Cannot describe itself."""

    def inputs(self) -> tuple[list[str], list[str]]:
        message = "not today"
        raise RuntimeError(message)


def test_describe() -> None:
    pipeline = Pipeline("p", "what it does").add_stage(Described()).add_stage(Shy(1))
    assert pipeline.describe() == (
        "Pipeline: p\n"
        "Description: what it does\n"
        "Stages: 2\n"
        "\n"
        "Stage 1: described\n"
        "  Resources: 2 CPUs\n"
        "    GPU Memory: 0.0 GB (1 GPUs)\n"
        "  Batch size: 4\n"
        "  Inputs:\n"
        "    DocumentBatch:\n"
        "      Required attributes: data\n"
        "      Required columns: text\n"
        "  Outputs:\n"
        "    Output attributes: data\n"
        "    Output columns: score\n"
        "\n"
        "Stage 2: add\n"
        "  Error getting stage info: not today\n"
    )


def test_repr_and_defaults() -> None:
    stages = [Count(1)]
    pipeline = Pipeline("p", stages=stages)
    assert repr(pipeline) == "Pipeline(name='p', stages=[count(Count)])"
    assert pipeline.stages is stages
    assert (pipeline.config, pipeline.description, pipeline.last_report) == ({}, None, None)
    assert "No description provided" in pipeline.describe()


def test_build_checks_and_notes_composites_without_touching_stages() -> None:
    pipeline = Pipeline("p", stages=[Count(1), Nested()])
    assert pipeline.build() is pipeline
    assert pipeline.decomposition_info == {"add_twice": ["one", "two"], "nested": ["one", "two", "keep"]}
    assert [stage.name for stage in pipeline.stages] == ["count", "nested"]
    with pytest.raises(PlanError, match="has no stages"):
        Pipeline("empty").build()


def test_explain_says_what_runs_together_and_why_not() -> None:
    pipeline = Pipeline("p")
    pipeline.add_stage(Count(3))
    pipeline.add_stage(Repeat(2))
    pipeline.add_stage(Keep(2))
    text = pipeline.explain()
    assert text.startswith("Plan of pipeline 'p' on local: 3 stages in 3 segments")
    assert "not fused with the one before: 'repeat' fans out" in text
    assert "added at test_pipeline.py:" in text


def test_an_executor_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="must be an executor such as LocalExecutor"):
        Pipeline("p", stages=[Count(1)]).run("local")  # type: ignore[arg-type]


def test_the_default_executor_is_local() -> None:
    pipeline = Pipeline("p", stages=[Count(2), Add(1)])
    assert len(pipeline.run() or []) == 2
    assert pipeline.last_report is not None
    assert pipeline.last_report.backend == "local"


def test_root_ids() -> None:
    tasks = [Number("n", 1), EmptyTask(), Number("n", 2)]
    assert assign_root_task_ids(tasks) is tasks
    assert [task.task_id for task in tasks] == ["0_0", "0", "0_2"]


def test_backends_by_name() -> None:
    assert "local" in available_backends()
    assert get_executor_class("local") is LocalExecutor
    assert isinstance(make_executor("local", num_workers=1), BaseExecutor)
    with pytest.raises(OptionError, match=r"no backend 'locla'.*Did you mean 'local'"):
        get_executor_class("locla")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "fork"}, "mode must be one of 'processes', 'threads', 'inline'; got 'fork'"),
        ({"num_workers": 0}, "num_workers must be a number above 0"),
        ({"on_error": "ignore"}, "on_error must be one of 'fail', 'quarantine'"),
        ({"max_failures": -1}, "max_failures must be a number from 0"),
        ({"bundle_bytes": 0}, "bundle_bytes must be a number above 0"),
        ({"ignore_failures": True, "on_error": "fail"}, "contradicts"),
        ({"fuse": "no"}, "fuse must be True or False; got 'no'"),
        ({"num_workers": 1.5}, "num_workers must be a whole number, or None"),
        ({"bundle_bytes": float("inf")}, "bundle_bytes must be a whole number"),
        ({"bundle_seconds": float("nan")}, "bundle_seconds must be a number"),
        ({"crash_attempts": True}, "crash_attempts must be a whole number"),
        ({"num_wokers": 2}, "Did you mean 'num_workers'"),
    ],
)
def test_wrong_options_are_told(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        LocalExecutor(**options)


class Meets(ProcessingStage[Number, Number]):
    """Two of its workers must be busy at the same time to get on."""

    name = "meets"
    resources = Resources(cpus=0.5)
    place = threading.Barrier(2, timeout=20)

    def process(self, task: Number) -> Number:
        type(self).place.wait()
        return task


def test_two_workers_of_half_a_cpu_run_on_one() -> None:
    executor = LocalExecutor(mode="threads", cpus=1, bundle_seconds=0.001)
    assert len(Pipeline("p", stages=[Meets()]).run(executor, initial_tasks=numbers(2)) or []) == 2


def test_options_come_from_config_or_keywords() -> None:
    executor = LocalExecutor({"num_workers": 3, "preserve_order": True}, mode="threads")
    assert (executor.local.num_workers, executor.local.mode, executor.options.preserve_order) == (3, "threads", True)
    assert executor.capacity.workers == 3
    assert executor.capacity.cpus >= 3


def test_a_stage_adapter_drives_one_stage() -> None:
    adapter = BaseStageAdapter(Scripted({1: "drop", 3: "raise"}))
    adapter.setup()
    tasks = assign_root_task_ids(numbers(3))
    assert [task.task_id for task in adapter.process_batch(tasks)] == ["0_0_0", "0_2_0"]
    with pytest.raises(StageFailed):
        adapter.process_batch([Number("n", 3)])
    adapter.teardown()


def test_a_workflow_collects_what_its_pipelines_made() -> None:
    class Twice(WorkflowBase):
        def run(self, count: int) -> WorkflowRunResult:
            result = WorkflowRunResult("twice")
            result.add_pipeline_tasks(
                "only", Pipeline("p", stages=[Add(1)]).run(LocalExecutor(mode="inline"), numbers(count))
            )
            result.add_metadata("count", count)
            result.extend_metadata(None)
            return result

    result = Twice().run(3)
    assert len(result.pipeline_tasks["only"]) == 3
    assert (result.get_metadata("count"), result.get_metadata("other")) == (3, None)
    assert isinstance(NoneTask(), NoneTask)
