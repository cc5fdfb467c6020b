"""Ids and lineage."""

from __future__ import annotations

import hashlib

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import EmptyTask
from nemo_curator.testing.backend import BackendUnderTest
from nemo_curator.testing.conformance.case import Cases
from nemo_curator.testing.stages import Add, BatchAdd, BatchKeep, Count, GroupSum, Keep, Repeat, RepeatLazily, Scripted
from nemo_curator.testing.tasks import Number, numbers

CASES = Cases("identity")


@CASES
def initial_tasks_are_numbered(backend: BackendUnderTest) -> None:
    assert backend.run(Add(1), Add(1), tasks=numbers(3)).ids == ["0_0_0_0", "0_1_0_0", "0_2_0_0"]


@CASES
def the_seed_is_zero(backend: BackendUnderTest) -> None:
    assert backend.run(Count(3)).ids == ["0_0", "0_1", "0_2"]


@CASES
def sources_are_named_by_content(backend: BackendUnderTest) -> None:
    assert backend.run(Count(3, content_ids=True), Add(1)).ids == ["0_c0_0", "0_c1_0", "0_c2_0"]


@CASES
def content_ids_come_once_in_a_path(backend: BackendUnderTest) -> None:
    tasks = [Number("n", value, content_id=f"c{value}") for value in range(2)]
    assert backend.run(Add(1), Add(1), tasks=tasks).ids == ["0_0_c0_0", "0_1_c1_0"]


@CASES
def the_same_content_twice_stays_apart(backend: BackendUnderTest) -> None:
    ids = backend.run(SameContent(), Add(1)).ids
    assert len(set(ids)) == 3
    assert "0_same_0" in ids


@CASES
def children_are_numbered_by_slot(backend: BackendUnderTest) -> None:
    # 4 gives slots 0, 1, 3: the third is empty.
    assert backend.run(Repeat(4), tasks=[Number("n", 4)]).ids == ["0_0_0", "0_0_1", "0_0_3"]


@CASES
def children_of_an_iterator_too(backend: BackendUnderTest) -> None:
    assert backend.run(RepeatLazily(4), tasks=[Number("n", 4)]).ids == ["0_0_0", "0_0_1", "0_0_3"]


@CASES
def fan_out_in_batches_keeps_parents(backend: BackendUnderTest) -> None:
    # Values 0, 2, 1 have 0, 2, 1 children: as many as there are parents, and yet nobody's parent is guessed.
    result = backend.run(Repeat(4).with_(batch_size=3), tasks=numbers([0, 2, 1]))
    assert result.ids == ["0_1_0", "0_1_1", "0_2_0"]


@CASES
def batches_are_positional(backend: BackendUnderTest) -> None:
    result = backend.run(BatchKeep(2, batch_size=4), tasks=numbers(4))
    assert [(task.task_id, task.data) for task in sorted(result.outputs, key=lambda t: t.data)] == [
        ("0_1_0", 1),
        ("0_3_0", 3),
    ]


@CASES
def lists_in_a_batch_belong_to_their_position(backend: BackendUnderTest) -> None:
    assert backend.run(Doubled(), tasks=numbers(2)).ids == ["0_0_0", "0_0_1", "0_1_0", "0_1_1"]


@CASES
def a_group_is_named_by_its_members(backend: BackendUnderTest) -> None:
    result = backend.run(GroupSum(4), tasks=numbers(4), preserve_order=True)
    digest = hashlib.blake2b(b"0_0|0_1|0_2|0_3", digest_size=8).hexdigest()
    assert result.ids == [f"g{digest}_0"]


@CASES
def two_runs_give_the_same_ids(backend: BackendUnderTest) -> None:
    stages = [Count(40, content_ids=True), Repeat(3), Keep(3), GroupSum(7)]
    first = backend.run(*stages, preserve_order=True)
    second = backend.run(*stages, preserve_order=True)
    assert first.ids == second.ids != []
    assert first.values == second.values


@CASES
def the_same_object_twice_becomes_two_tasks(backend: BackendUnderTest) -> None:
    result = backend.run(Scripted({1: "twice"}), Add(1), tasks=numbers(3))
    assert result.ids == ["0_0_0_0", "0_1_0_0", "0_1_1_0", "0_2_0_0"]
    assert len(result.values) == 4


@CASES
def an_object_returned_again_is_a_new_task(backend: BackendUnderTest) -> None:
    assert backend.run(Singleton(), Add(1), tasks=numbers(3)).ids == ["0_0_0_0", "0_1_0_0", "0_2_0_0"]


@CASES
def a_source_in_the_middle_starts_the_sources(backend: BackendUnderTest) -> None:
    result = backend.run(Add(1), AsSource(), Add(1), tasks=numbers(3))
    assert result.ids == ["0_0_0_s1_0", "0_1_0_s2_0", "0_2_0_s3_0"]
    assert result.report.sources_completed == 3


@CASES
def source_ids_travel_along(backend: BackendUnderTest) -> None:
    result = backend.run(Count(2), Repeat(4), Add(1), BatchAdd(1))
    assert {task._source_id for task in result.outputs} == {"0_1"}


class SameContent(ProcessingStage[EmptyTask, Number]):
    """A source that finds one thing three times."""

    name = "same_content"

    def process(self, task: EmptyTask) -> list[Number]:
        """Return the same content three times."""
        return [Number("n", value, content_id="same") for value in range(3)]


class AsSource(ProcessingStage[Number, Number]):
    """A source that is not the first stage."""

    name = "as_source"
    is_source_stage = True

    def process(self, task: Number) -> Number:
        """Return a task with a content id."""
        return Number("n", task.data, content_id=f"s{task.data}")


class Doubled(ProcessingStage[Number, Number]):
    """Gives two tasks for each of a batch."""

    name = "doubled"
    batch_size = 2

    def process(self, task: Number) -> list[Number]:
        """Return two."""
        return [Number("n", task.data), Number("n", task.data)]

    def process_batch(self, tasks: list[Number]) -> list[list[Number]]:
        """Return a list a task."""
        return [self.process(task) for task in tasks]


class Singleton(ProcessingStage[Number, Number]):
    """Returns one object again and again."""

    name = "singleton"

    def process(self, task: Number) -> Number:
        """Return the very first task."""
        kept: Number = vars(self).setdefault("kept", task)
        return kept
