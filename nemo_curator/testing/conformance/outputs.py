"""What comes out of a run."""

from __future__ import annotations

from collections import Counter

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.testing.backend import BackendUnderTest
from nemo_curator.testing.conformance.case import Cases
from nemo_curator.testing.reference import interpret
from nemo_curator.testing.stages import Add, BatchAdd, BatchKeep, Count, Keep, Repeat, RepeatLazily
from nemo_curator.testing.tasks import Number, numbers

CASES = Cases("outputs")


@CASES
def one_stage_changes_every_task(backend: BackendUnderTest) -> None:
    assert backend.run(Add(5), tasks=numbers(4)).values == [5, 6, 7, 8]


@CASES
def a_long_chain_of_stages(backend: BackendUnderTest) -> None:
    assert backend.run(*[Add(1) for _ in range(20)], tasks=numbers(10)).values == list(range(20, 30))


@CASES
def a_long_chain_that_is_not_fused(backend: BackendUnderTest) -> None:
    assert backend.run(*[Add(1) for _ in range(12)], tasks=numbers(10), fuse=False).values == list(range(12, 22))


@CASES
def a_source_starts_from_nothing(backend: BackendUnderTest) -> None:
    assert backend.run(Count(5), Add(1)).values == [1, 2, 3, 4, 5]


@CASES
def a_source_that_finds_nothing_gives_nothing(backend: BackendUnderTest) -> None:
    result = backend.run(Count(0), Add(1), BatchAdd(1))
    assert result.outputs == []
    assert result.report.status == "completed"


@CASES
def everything_dropped_is_a_valid_result(backend: BackendUnderTest) -> None:
    result = backend.run(Keep(1), Add(1), BatchAdd(1), tasks=numbers(9))
    assert result.outputs == []
    assert result.report.stage("keep").dropped == 9
    assert result.report.stage("add").tasks_in == 0


@CASES
def tasks_are_neither_lost_nor_doubled(backend: BackendUnderTest) -> None:
    stages = [Add(3), Repeat(5), Keep(4), BatchKeep(3), RepeatLazily(3)]
    expected = Counter(interpret(stages, range(200)))
    result = backend.run(*stages, tasks=numbers(200))
    assert Counter((task.task_id, task.data) for task in result.outputs) == expected


@CASES
def fused_or_not_makes_no_difference(backend: BackendUnderTest) -> None:
    stages = [Add(1), Keep(3), Add(2), BatchAdd(4, batch_size=3), Add(1)]
    fused = backend.run(*stages, tasks=numbers(50))
    apart = backend.run(*stages, tasks=numbers(50), fuse=False)
    assert [fused.values, fused.ids] == [apart.values, apart.ids]


@CASES
def order_is_kept_on_request(backend: BackendUnderTest) -> None:
    stages = [Add(1), Repeat(4), Keep(3), BatchAdd(2, batch_size=3)]
    result = backend.run(*stages, tasks=numbers(120), preserve_order=True)
    assert [(task.task_id, task.data) for task in result.outputs] == interpret(stages, range(120))


@CASES
def outputs_can_stay_away(backend: BackendUnderTest) -> None:
    result = backend.run(Count(50), Add(1), return_outputs=False)
    assert result.outputs == []
    assert result.report.tasks_delivered == 50


@CASES
def large_payloads_arrive_whole(backend: BackendUnderTest) -> None:
    result = backend.run(Inflate(), Shrink(), tasks=numbers(6), fuse=False)
    assert result.values == [n * 3_000_000 for n in range(6)]


@CASES
def large_payloads_come_back_whole(backend: BackendUnderTest) -> None:
    result = backend.run(Inflate(), tasks=numbers(3))
    assert [len(task.data) for task in sorted(result.outputs, key=lambda task: len(task.data))] == [
        0,
        3_000_000,
        6_000_000,
    ]


@CASES
def the_users_stages_are_not_touched(backend: BackendUnderTest) -> None:
    stage = Remembering()
    backend.run(stage, tasks=numbers(5))
    assert stage.seen == []


@CASES
def the_users_tasks_are_not_touched(backend: BackendUnderTest) -> None:
    tasks = numbers(3)
    assert backend.run(Add(5), tasks=tasks).values == [5, 6, 7]
    assert [(task.data, task.task_id, task._stage_perf) for task in tasks] == [(0, "", []), (1, "", []), (2, "", [])]


@CASES
def a_pipeline_can_be_run_twice(backend: BackendUnderTest) -> None:
    pipeline = backend.pipeline(Count(4), Add(1))
    first = pipeline.run(backend.make())
    second = pipeline.run(backend.make())
    assert sorted(t.task_id for t in first or []) == sorted(t.task_id for t in second or []) != []


@CASES
def a_pipeline_can_grow_after_a_run(backend: BackendUnderTest) -> None:
    pipeline = backend.pipeline(Count(4), Add(1))
    pipeline.run(backend.make())
    pipeline.add_stage(Add(10))
    assert sorted(task.data for task in pipeline.run(backend.make()) or []) == [11, 12, 13, 14]


class Inflate(ProcessingStage[Number, Number]):
    """Makes a large payload of a number."""

    name = "inflate"

    def __init__(self, nbytes: int = 3_000_000) -> None:
        self.nbytes = nbytes

    def process(self, task: Number) -> Number:
        """Return so many times the size."""
        task.data = bytes(self.nbytes * task.data)  # type: ignore[assignment]
        return task


class Shrink(ProcessingStage[Number, Number]):
    """Makes a number of a large payload."""

    name = "shrink"

    def process(self, task: Number) -> Number:
        """Return its length."""
        task.data = len(task.data)  # type: ignore[arg-type]
        return task


class Remembering(ProcessingStage[Number, Number]):
    """Keeps what it saw."""

    name = "remembering"

    def __init__(self) -> None:
        self.seen: list[int] = []

    def process(self, task: Number) -> Number:
        """Note the number."""
        self.seen.append(task.data)
        return task
