"""Quarantined tasks are run again alone, and outputs are read as they come."""

from __future__ import annotations

import itertools
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.engine.quarantine import Quarantine
from nemo_curator.errors import ChainError, PlanError, StageFailed
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.testing import Number, interpret, numbers
from nemo_curator.testing.faults import LazyDeadly
from nemo_curator.testing.stages import Add, BatchAdd, Count, Keep, Modelled, Repeat, Scripted

MODES = ["inline", "threads", "processes"]


def _found(outputs: Any) -> list[tuple[str, int]]:
    return sorted((task.task_id, task.data) for task in outputs)


def _executor(mode: str, folder: Path, **options: Any) -> LocalExecutor:
    options = {"on_error": "quarantine", "quarantine_path": str(folder), **options}
    return LocalExecutor(mode=mode, num_workers=2, **options)


class Picky(Modelled):
    """Raises for some numbers, unless it was repaired."""

    name = "picky"

    def __init__(self, bad: set[int], repaired: bool = False) -> None:
        self.bad, self.repaired = bad, repaired

    def model(self, value: int) -> list[int | None]:
        return [value * 7]

    def process(self, task: Number) -> Number:
        task._metadata["half"] = "done"
        if task.data in self.bad and not self.repaired:
            message = f"cannot bear {task.data}"
            raise ValueError(message)
        return super().process(task)[0]  # type: ignore[index]


@pytest.mark.parametrize("mode", MODES)
def test_a_run_and_its_replay_are_the_run_that_would_have_been(mode: str, tmp_path: Path) -> None:
    bad = {10, 21, 50}
    stages = [Add(1), Repeat(3), Picky(bad), Keep(2), BatchAdd(5)]
    executor = _executor(mode, tmp_path)
    first = Pipeline("p", stages=list(stages)).run(executor, initial_tasks=numbers(12))
    stages[2] = Picky(bad, repaired=True)
    pipeline = Pipeline("p", stages=list(stages))
    again = pipeline.replay(str(tmp_path), executor)
    assert _found([*(first or []), *again]) == sorted(interpret(stages, range(12)))
    assert again
    assert Quarantine(str(tmp_path)).entries() == []
    assert pipeline.last_report is not None
    assert pipeline.last_report.imbalances() == []


def test_what_fails_again_stays(tmp_path: Path) -> None:
    executor = _executor("inline", tmp_path)
    pipeline = Pipeline("p", stages=[Picky({1, 2}), Add(0)])
    pipeline.run(executor, initial_tasks=numbers(4))
    half = Pipeline("p", stages=[Picky({2}), Add(0)])
    assert _found(half.replay(str(tmp_path), executor)) == [("0_1_0_0", 7)]
    assert [entry.id for entry in Quarantine(str(tmp_path)).entries()] == ["0_2"]


def test_what_fails_further_on_moves_there(tmp_path: Path) -> None:
    executor = _executor("inline", tmp_path)
    Pipeline("p", stages=[Picky({1}), Add(0)]).run(executor, initial_tasks=numbers(3))
    further = Pipeline("p", stages=[Picky(set()), Scripted({7: "raise"}).with_(name="add")])
    assert further.replay(str(tmp_path), executor) == []
    assert [(entry.stage, entry.id) for entry in Quarantine(str(tmp_path)).entries()] == [("add", "0_1_0")]


def test_only_the_children_that_are_missing_are_made(tmp_path: Path) -> None:
    executor = _executor("inline", tmp_path)
    first = Pipeline("p", stages=[LazyDeadly({13: "raise"}, 5), Add(0)]).run(executor, initial_tasks=numbers(4))
    again = Pipeline("p", stages=[LazyDeadly({}, 5), Add(0)]).replay(str(tmp_path), executor)
    assert _found(again) == [("0_2_3_0", 13), ("0_2_4_0", 14)]
    assert sorted(task.data for task in [*(first or []), *again]) == list(range(20))


class OneOfThree(ProcessingStage[Number, Number]):
    """Marks the second of three children as failed."""

    name = "one_of_three"

    def __init__(self, repaired: bool = False) -> None:
        self.repaired = repaired

    def process(self, task: Number) -> list[Any]:
        from nemo_curator.tasks import FailedTask

        second = Number("n", task.data * 3 + 1) if self.repaired else FailedTask(reason="second")
        return [Number("n", task.data * 3), second, Number("n", task.data * 3 + 2)]


def test_a_child_that_was_marked_is_made_alone(tmp_path: Path) -> None:
    executor = _executor("inline", tmp_path)
    first = Pipeline("p", stages=[OneOfThree()]).run(executor, initial_tasks=numbers(2))
    again = Pipeline("p", stages=[OneOfThree(repaired=True)]).replay(str(tmp_path), executor)
    assert _found([*(first or []), *again]) == [(f"0_{n}_{slot}", n * 3 + slot) for n in range(2) for slot in range(3)]


def test_the_source_itself_can_be_replayed(tmp_path: Path) -> None:
    class Source(Count):
        name = "source"

        def process(self, task: Any) -> Any:
            if self.upto < 0:
                message = "nothing to count"
                raise ValueError(message)
            return super().process(task)

    executor = _executor("inline", tmp_path)
    assert Pipeline("p", stages=[Source(-1), Add(1)]).run(executor) == []
    assert len(Pipeline("p", stages=[Source(3), Add(1)]).replay(str(tmp_path), executor)) == 3


def test_a_pipeline_without_the_stage_is_refused(tmp_path: Path) -> None:
    executor = _executor("inline", tmp_path)
    Pipeline("p", stages=[Picky({1})]).run(executor, initial_tasks=numbers(3))
    with pytest.raises(
        PlanError, match=r"task 0_1 in quarantine was given up by stage 'picky', but pipeline 'q' has: add"
    ):
        Pipeline("q", stages=[Add(1)]).replay(str(tmp_path))


def test_an_empty_quarantine_is_nothing_to_do(tmp_path: Path) -> None:
    assert Pipeline("p", stages=[Add(1)]).replay(str(tmp_path / "none")) == []


# Streams


@pytest.mark.parametrize("mode", MODES)
def test_outputs_come_while_the_run_goes_on(mode: str) -> None:
    fed = itertools.count()

    def endless() -> Any:
        for n in fed:
            yield Number("n", n)

    pipeline = Pipeline("p", stages=[Add(1)])
    stream = pipeline.stream(LocalExecutor(mode=mode, num_workers=1), initial_tasks=endless())
    some = list(itertools.islice(stream, 100))
    assert len({task.data for task in some}) == 100
    stream.close()  # type: ignore[attr-defined]
    assert pipeline.last_report is not None
    assert pipeline.last_report.status == "closed"


@pytest.mark.parametrize("mode", MODES)
def test_a_stream_is_the_run(mode: str) -> None:
    pipeline = Pipeline("p", stages=[Repeat(3), Add(1)])
    found = list(pipeline.stream(LocalExecutor(mode=mode, num_workers=2), initial_tasks=numbers(50)))
    assert _found(found) == sorted(interpret([Repeat(3), Add(1)], range(50)))
    assert pipeline.last_report is not None
    assert pipeline.last_report.status == "completed"


@pytest.mark.parametrize("mode", MODES)
def test_what_nobody_reads_holds_the_run_back(mode: str) -> None:
    fed: list[int] = []

    def tasks() -> Any:
        for n in range(20_000):
            fed.append(n)
            yield Number("n", n)

    class Inflate(Add):
        name = "inflate"

        def process(self, task: Number) -> Number:
            task.data = bytes(10_000)  # type: ignore[assignment]
            return task

    executor = LocalExecutor(mode=mode, num_workers=1, edge_bytes=400_000, bundle_seconds=0.001)
    stream = Pipeline("p", stages=[Inflate()]).stream(executor, initial_tasks=tasks())
    for _ in range(10):
        next(stream)
    most = len(fed)
    assert most < 20_000
    assert len(list(stream)) == 19_990


def test_an_error_comes_where_the_stream_is_read() -> None:
    pipeline = Pipeline("p", stages=[Scripted({5: "raise:KeyError"})])
    stream = pipeline.stream(LocalExecutor(mode="inline", preserve_order=True), initial_tasks=numbers(10))
    with pytest.raises(KeyError) as caught:
        list(stream)
    assert isinstance(caught.value, StageFailed)
    assert pipeline.last_report is not None
    assert pipeline.last_report.status == "failed"


def test_whoever_reads_a_stream_has_signals_to_himself() -> None:
    stream = Pipeline("p", stages=[Add(1)]).stream(LocalExecutor(num_workers=1), initial_tasks=numbers(500))
    next(stream)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    # Who goes on all the same gets the rest.
    assert len(list(stream)) == 499


def test_a_stream_may_be_dropped_by_another_thread() -> None:
    stream = Pipeline("p", stages=[Add(1)]).stream(LocalExecutor(num_workers=1), initial_tasks=numbers(500))
    next(stream)
    thread = threading.Thread(target=stream.close)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_wrong_pipeline_is_told_before_anything_is_read() -> None:
    with pytest.raises(ChainError):
        Pipeline("p", stages=[Add(1)]).stream(LocalExecutor(mode="inline"))
