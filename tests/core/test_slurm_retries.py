"""What is submitted again is what is missing, in words that Slurm reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.core.slurm_retries import (
    SlurmArrayRetryPlan,
    SlurmArrayRetrySubmission,
    build_slurm_array_retry_submissions,
    format_slurm_array_indices,
)
from nemo_curator.errors import OptionError

SHARDS = st.sets(st.integers(0, 5000), max_size=60)


def _read(text: str) -> list[int]:
    """Return the indices that Slurm understands."""
    numbers: list[int] = []
    for part in text.split(",") if text else []:
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


@pytest.mark.parametrize(
    ("indices", "text"),
    [
        ([], ""),
        ([0], "0"),
        ([1, 2, 5], "1-2,5"),
        ([5, 2, 1, 2], "1-2,5"),
        (range(100), "0-99"),
        ((0, 2, 4), "0,2,4"),
        (iter([7, 8, 9, 1001]), "7-9,1001"),
    ],
)
def test_indices_are_written_as_slurm_reads_them(indices: list[int], text: str) -> None:
    assert format_slurm_array_indices(indices) == text


@given(SHARDS)
def test_what_is_written_is_read(shards: set[int]) -> None:
    text = format_slurm_array_indices(shards)
    assert _read(text) == sorted(shards)
    # As few ranges as there can be.
    assert len([part for part in text.split(",") if part]) == len(
        [shard for shard in shards if shard - 1 not in shards]
    )


def test_negative_indices_are_refused() -> None:
    with pytest.raises(OptionError, match="no negative index of an array, got -1"):
        format_slurm_array_indices([3, -1])


@pytest.mark.parametrize(
    ("shards", "size", "expected"),
    [
        ((), None, []),
        ((), 10, []),
        ((1, 2, 5), None, [((1, 2, 5), 0)]),
        ((1, 2, 5), 6, [((1, 2, 5), 0)]),
        ((1, 2, 5), 5, [((1, 2), 0), ((0,), 5)]),
        ((1000, 1001, 2500), 1001, [((1000,), 0), ((0,), 1001), ((498,), 2002)]),
        ((3, 4), 1, [((0,), 3), ((0,), 4)]),
        ((5, 1, 5), None, [((1, 5), 0)]),
    ],
)
def test_shards_are_divided_where_slurm_ends(
    shards: tuple[int, ...], size: int | None, expected: list[tuple[tuple[int, ...], int]]
) -> None:
    plan = SlurmArrayRetryPlan(shards, 3000, 0)
    assert build_slurm_array_retry_submissions(plan, size) == tuple(
        SlurmArrayRetrySubmission(*submission) for submission in expected
    )


@given(shards=SHARDS, size=st.none() | st.integers(1, 2000))
def test_every_missing_shard_is_submitted_once(shards: set[int], size: int | None) -> None:
    submissions = build_slurm_array_retry_submissions(SlurmArrayRetryPlan(tuple(sorted(shards)), 5001, 0), size)
    submitted = [
        index + submission.shard_index_offset
        for submission in submissions
        for index in _read(format_slurm_array_indices(submission.array_indices))
    ]
    assert submitted == sorted(shards)
    assert all(submission.array_indices for submission in submissions)
    if size is not None:
        assert all(0 <= index < size for submission in submissions for index in submission.array_indices)
        assert len(submissions) <= 5000 // size + 1


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_without_room_is_refused(size: int) -> None:
    with pytest.raises(OptionError, match=rf"MaxArraySize, a number above 0 .*; got {size}"):
        build_slurm_array_retry_submissions(SlurmArrayRetryPlan((1,), 2, 0), size)
