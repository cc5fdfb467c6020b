"""Which tasks of a Slurm array to submit again, in Slurm's own words. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from nemo_curator.errors import OptionError

__all__ = [
    "SlurmArrayRetryPlan",
    "SlurmArrayRetrySubmission",
    "build_slurm_array_retry_submissions",
    "format_slurm_array_indices",
]


@dataclass(frozen=True, slots=True)
class SlurmArrayRetryPlan:
    """The shards of an array that are not complete.

    Attributes:
        shard_indices: They, in order.
        total_shards: Shards of the whole array, which a retry must keep.
        minimum_shard_index: Index of its first shard, which a retry must keep.
    """

    shard_indices: tuple[int, ...]
    total_shards: int
    minimum_shard_index: int = 0


@dataclass(frozen=True, slots=True)
class SlurmArrayRetrySubmission:
    """One call of ``sbatch``.

    Attributes:
        array_indices: For ``--array``, in order.
        shard_index_offset: What to add to an index of the array to have the index of the shard.
    """

    array_indices: tuple[int, ...]
    shard_index_offset: int = 0


def build_slurm_array_retry_submissions(
    plan: SlurmArrayRetryPlan, max_array_size: int | None = None
) -> tuple[SlurmArrayRetrySubmission, ...]:
    """Return what to submit, so that every missing shard is submitted once. None when no shard is missing.

    Shards whose index Slurm takes are submitted under it. The others are shifted by multiples of `max_array_size`, so a shard always has
    the same place, whichever others are missing.

    Args:
        plan: The missing shards.
        max_array_size: Slurm's ``MaxArraySize``: indices of an array are below it. `None` submits all at once.

    Raises:
        OptionError: `max_array_size` is less than 1.
    """
    shards = sorted(set(plan.shard_indices))
    if max_array_size is None:
        return (SlurmArrayRetrySubmission(tuple(shards)),) if shards else ()
    if max_array_size < 1:
        message = f"max_array_size is Slurm's MaxArraySize, a number above 0 (see 'scontrol show config'); got {max_array_size}"
        raise OptionError(message)
    size = max_array_size
    return tuple(
        SlurmArrayRetrySubmission(tuple(shard - number * size for shard in group), number * size)
        for number, group in groupby(shards, key=lambda shard: shard // size)
    )


def format_slurm_array_indices(indices: Iterable[int]) -> str:
    """Return indices as ``sbatch --array`` reads them: ``"1-2,5"``; in order, each once, and nothing for none.

    Raises:
        OptionError: An index is negative.
    """
    ordered = sorted(set(indices))
    if ordered and ordered[0] < 0:
        message = f"Slurm knows no negative index of an array, got {ordered[0]}"
        raise OptionError(message)
    ranges: list[str] = []
    # In a row of neighbours the distance between an index and its place in the order stays the same.
    for _, row in groupby(enumerate(ordered), key=lambda placed: placed[1] - placed[0]):
        numbers = [index for _, index in row]
        ranges.append(str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}")
    return ",".join(ranges)
