"""What happens beside the straight way: other attempts, quarantine and replay, limits, streams."""

from __future__ import annotations

from itertools import islice
from typing import Any

from nemo_curator.engine.quarantine import Quarantine
from nemo_curator.stages.retries import Retries
from nemo_curator.testing.backend import BackendUnderTest
from nemo_curator.testing.conformance.case import Cases
from nemo_curator.testing.faults import Deadly, LazyDeadly
from nemo_curator.testing.stages import Add, BatchAdd, Repeat, Scripted
from nemo_curator.testing.tasks import Number, numbers

CASES = Cases("recovery")


@CASES
def a_stage_says_itself_what_is_worth_another_attempt(backend: BackendUnderTest) -> None:
    retries = Retries(attempts=3, backoff_s=0.0, retry_on=(OSError,), never_on=(PermissionError,))
    script = {1: "raise:ConnectionError", 2: "raise:ValueError", 3: "raise:PermissionError", 4: "transient:2"}
    result = backend.run(Scripted(script).with_(retries=retries), tasks=numbers(6), on_error="quarantine")
    assert result.values == [0, 4, 5]
    attempts = {failure.task_id: failure.attempts for failure in result.report.failures}
    assert attempts == {"0_1": 3, "0_2": 1, "0_3": 1}


@CASES
def a_storm_of_retries_is_bounded(backend: BackendUnderTest) -> None:
    script = dict.fromkeys(range(60), "raise:OSError")
    stage = Scripted(script).with_(num_workers=1)
    result = backend.run(
        stage,
        tasks=numbers(60),
        on_error="quarantine",
        max_attempts=5,
        retry_backoff_s=0.0,
        retry_reserve=10,
        retry_share=0.0,
    )
    assert len(result.report.failures) == 60
    assert result.report.stage("scripted").retries == 10


@CASES
def what_failed_is_kept_and_can_be_replayed(backend: BackendUnderTest) -> None:
    folder = str(backend.folder / "quarantine")
    options: dict[str, Any] = {"on_error": "quarantine", "quarantine_path": folder}
    result = backend.run(Add(1), Scripted({3: "raise"}, 4), Repeat(4), tasks=numbers(6), **options)
    (entry,) = Quarantine(folder).entries()
    assert (entry.id, entry.stage, entry.reason) == ("0_2_0", "scripted", "ValueError")
    assert Quarantine(folder).load(entry).data == 3
    again = backend.pipeline(Add(1), Scripted({}, 4), Repeat(4)).replay(folder, backend.make(**options))
    whole = backend.run(Add(1), Scripted({}, 4), Repeat(4), tasks=numbers(6))
    assert sorted([*result.ids, *(task.task_id for task in again)]) == whole.ids
    assert Quarantine(folder).entries() == []


@CASES
def an_iterator_that_raised_is_replayed_from_there(backend: BackendUnderTest) -> None:
    folder = str(backend.folder / "quarantine")
    options: dict[str, Any] = {"on_error": "quarantine", "quarantine_path": folder}
    result = backend.run(LazyDeadly({13: "raise"}, 5), Add(0), tasks=numbers(4), **options)
    assert result.values == [*range(13), *range(15, 20)]
    again = backend.pipeline(LazyDeadly({}, 5), Add(0)).replay(folder, backend.make(**options))
    assert sorted(task.data for task in again) == [13, 14]


@CASES
def a_call_that_is_over_its_time_has_failed(backend: BackendUnderTest) -> None:
    stage = LazyDeadly({}, 2, slowly_s=0.3).with_(timeout_s=0.1)
    result = backend.run(stage, tasks=numbers(1), on_error="quarantine")
    assert result.outputs == []
    assert "TaskTimeout" in result.report.failures[0].cause


@CASES
def errors_that_do_not_travel_are_still_told(backend: BackendUnderTest) -> None:
    for how, words in (("wants_more", "code 7"), ("speechless", "cannot be made"), ("locked", "holds a lock")):
        result = backend.run(Deadly({2: how}), Add(0), tasks=numbers(4), on_error="quarantine")
        assert result.values == [0, 1, 3]
        assert words in result.report.failures[0].cause


@CASES
def a_stream_gives_what_a_run_gives(backend: BackendUnderTest) -> None:
    stages = (Repeat(3), BatchAdd(1, 4), Add(1))
    streamed = list(backend.pipeline(*stages).stream(backend.make(), initial_tasks=numbers(30)))
    assert sorted(task.task_id for task in streamed) == backend.run(*stages, tasks=numbers(30)).ids


@CASES
def a_stream_may_be_left_early(backend: BackendUnderTest) -> None:
    pipeline = backend.pipeline(Add(1))
    tasks = (Number("n", n) for n in range(20_000))
    stream = pipeline.stream(backend.make(), initial_tasks=tasks)
    assert len(list(islice(stream, 5))) == 5
    stream.close()
    assert pipeline.last_report is not None
    assert pipeline.last_report.status == "closed"
