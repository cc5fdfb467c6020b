"""Sizes of batches."""

from __future__ import annotations

from typing import Any

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.testing.backend import BackendUnderTest
from nemo_curator.testing.conformance.case import Cases
from nemo_curator.testing.stages import Add, BatchAdd, BatchKeep, CollectAll, Count, GroupSum, Keep, Repeat
from nemo_curator.testing.tasks import Number, numbers

CASES = Cases("batching")


def _sizes(
    backend: BackendUnderTest, *before: ProcessingStage, batch_size: int | None, count: int, **options: Any
) -> list[int]:  # type: ignore[type-arg]
    journal = backend.journal()
    backend.run(*before, BatchAdd(1, batch_size=batch_size, journal=journal), tasks=numbers(count), **options)
    return sorted(int(line.split()[1]) for line in journal.lines())


@CASES
def one_at_a_time(backend: BackendUnderTest) -> None:
    assert _sizes(backend, batch_size=1, count=5) == [1] * 5


@CASES
def exactly_seven_and_the_rest_at_the_end(backend: BackendUnderTest) -> None:
    assert _sizes(backend, batch_size=7, count=24) == [3, 7, 7, 7]


@CASES
def fewer_than_a_batch(backend: BackendUnderTest) -> None:
    assert _sizes(backend, batch_size=7, count=2) == [2]


@CASES
def none_lets_the_engine_choose(backend: BackendUnderTest) -> None:
    assert sum(_sizes(backend, batch_size=None, count=10)) == 10


@CASES
def collected_over_drops(backend: BackendUnderTest) -> None:
    # 0..49 without multiples of 3: 33 tasks.
    assert _sizes(backend, Keep(3), batch_size=8, count=50) == [1, 8, 8, 8, 8]


@CASES
def collected_over_fan_out(backend: BackendUnderTest) -> None:
    total = sum(1 for n in range(30) for slot in range(n % 5) if slot % 3 != 2)
    sizes = _sizes(backend, Repeat(4), batch_size=6, count=30)
    assert sizes.count(6) == total // 6
    assert sum(sizes) == total


@CASES
def collected_without_fusion(backend: BackendUnderTest) -> None:
    assert _sizes(backend, Add(1), batch_size=7, count=24, fuse=False) == [3, 7, 7, 7]


@CASES
def two_batch_stages_in_a_row(backend: BackendUnderTest) -> None:
    result = backend.run(BatchAdd(1, batch_size=4), BatchAdd(1, batch_size=3), tasks=numbers(11))
    assert result.values == list(range(2, 13))
    assert result.report.stages[0].counts.calls == 3
    assert result.report.stages[1].counts.calls == 4


@CASES
def a_batch_larger_than_the_stream(backend: BackendUnderTest) -> None:
    assert _sizes(backend, batch_size=100_000, count=5) == [5]


@CASES
def a_batch_size_on_a_stage_without_batches_changes_nothing(backend: BackendUnderTest) -> None:
    assert backend.run(Add(1).with_(batch_size=7), tasks=numbers(16)).values == list(range(1, 17))


@CASES
def groups_of_a_batch(backend: BackendUnderTest) -> None:
    result = backend.run(GroupSum(4), tasks=numbers(10), preserve_order=True)
    assert result.values == [6, 17, 22]


@CASES
def a_barrier_sees_everything_once(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    result = backend.run(Count(300), Keep(3), CollectAll(journal), Add(1), BatchKeep(2, batch_size=5))
    assert journal.lines() == ["all 200"]
    assert result.report.stage("collect_all").calls == 1


@CASES
def a_barrier_sees_tasks_by_id(backend: BackendUnderTest) -> None:
    # Whoever comes first, position in the stream is position in the barrier, and 0_2 comes before 0_10.
    result = backend.run(Add(0), CollectAll(), tasks=numbers(150), bundle_seconds=0.0001)
    assert result.values == [n * 1000 + n for n in range(150)]


@CASES
def a_barrier_is_not_called_for_nothing(backend: BackendUnderTest) -> None:
    journal = backend.journal()
    assert backend.run(Count(0), CollectAll(journal)).outputs == []
    assert journal.lines() == []


@CASES
def a_barrier_can_come_first(backend: BackendUnderTest) -> None:
    assert backend.run(CollectAll(), tasks=[Number("n", n) for n in range(3)]).values == [0, 1001, 2002]
