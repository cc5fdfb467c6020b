"""What the environment says about a shard."""

from __future__ import annotations

import pytest

from nemo_curator.core.slurm_shards import SlurmArrayConfig
from nemo_curator.errors import OptionError


def _environment(ours: str = "", slurm: str = "") -> dict[str, str]:
    """Return ``INDEX=1 TOTAL=2`` in full: of this package's variables, and of Slurm's."""
    short = {"INDEX": "SHARD_INDEX", "TOTAL": "TOTAL_SHARDS", "MINIMUM": "MINIMUM_SHARD_INDEX", "ENABLED": "ENABLED"}
    pairs = [word.partition("=") for word in ours.split()]
    return {
        **{f"NEMO_CURATOR_SLURM_ARRAY_{short[name]}": value for name, _, value in pairs},
        **{f"SLURM_ARRAY_TASK_{name}": value for name, _, value in (word.partition("=") for word in slurm.split())},
    }


@pytest.mark.parametrize(
    ("ours", "slurm", "expected"),
    [
        ("", "", None),
        ("ENABLED=", "", None),
        ("INDEX= TOTAL=", "", None),
        ("INDEX=2 TOTAL=5", "", (2, 5, 0)),
        ("INDEX=2 TOTAL=5 MINIMUM=1", "", (2, 5, 1)),
        ("INDEX=2 TOTAL=5 MINIMUM=1 ENABLED=TRUE", "", (2, 5, 1)),
        ("", "ID=3 COUNT=8", (3, 8, 0)),
        ("ENABLED=on", "ID=3 COUNT=8", (3, 8, 0)),
        # The first shard is the array's first task, where the array is the shards.
        ("", "ID=3 COUNT=8 MIN=1 MAX=8", (3, 8, 1)),
        ("MINIMUM=0", "ID=3 COUNT=8 MIN=1 MAX=8", (3, 8, 0)),
        ("INDEX=2", "ID=3 COUNT=8 MIN=1 MAX=8", (2, 8, 0)),
        # A retry of shards 1, 2 and 5 of 0 to 7.
        ("TOTAL=8", "ID=5 COUNT=3 MIN=1 MAX=5", (5, 8, 0)),
        ("TOTAL=8 MINIMUM=1", "ID=5 COUNT=3 MIN=1 MAX=5", (5, 8, 1)),
        # The same with an offset that the job has added.
        ("INDEX=1005 TOTAL=2000", "ID=5 COUNT=3 MIN=1 MAX=5", (1005, 2000, 0)),
        *((f"ENABLED={word}", "ID=3 COUNT=8", None) for word in ("0", "false", "No", "OFF")),
        ("ENABLED=0 INDEX=x", "", None),
    ],
)
def test_what_the_environment_says(ours: str, slurm: str, expected: tuple[int, int, int] | None) -> None:
    config = SlurmArrayConfig.from_env(_environment(ours, slurm))
    assert config == (None if expected is None else SlurmArrayConfig(*expected))


@pytest.mark.parametrize(
    ("ours", "slurm", "told"),
    [
        ("ENABLED=maybe INDEX=1 TOTAL=2", "", "ENABLED is 'maybe'; write 1, true, yes, on or 0, false, no, off"),
        ("INDEX=1", "", "does not say of how many: set NEMO_CURATOR_SLURM_ARRAY_SHARD_INDEX and .*TOTAL_SHARDS"),
        ("TOTAL=2", "", "does not say which: .*SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT"),
        ("", "ID=1", "does not say of how many"),
        ("", "COUNT=3", "does not say which"),
        ("ENABLED=1", "", "does not say which"),
        ("MINIMUM=1", "", "does not say which"),
        ("INDEX=one TOTAL=2", "", "SHARD_INDEX is 'one', and a whole number"),
        ("INDEX=1 TOTAL=2.0", "", "TOTAL_SHARDS is '2.0', and a whole number"),
        ("INDEX=1 TOTAL=2 MINIMUM=x", "", "MINIMUM_SHARD_INDEX is 'x', and a whole number"),
        ("", "ID=x COUNT=2", "SLURM_ARRAY_TASK_ID is 'x'"),
        ("INDEX=1 TOTAL=0", "", "total_shards .* whole number from 1, got 0"),
        ("INDEX=-1 TOTAL=2", "", "shard_index .* whole number from 0, got -1"),
        ("INDEX=1 TOTAL=2 MINIMUM=-1", "", "minimum_shard_index .* whole number from 0, got -1"),
        ("", "ID=5 COUNT=3 MIN=1 MAX=5", "has 3 tasks with indices from 1 to 5, so the shards in the gaps"),
    ],
)
def test_what_cannot_be_understood_is_told(ours: str, slurm: str, told: str) -> None:
    with pytest.raises(OptionError, match=told) as caught:
        SlurmArrayConfig.from_env(_environment(ours, slurm))
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("arguments", [(0, 0), (-1, 2), (0, 2, -1), (0, -3), (0.0, 2), (True, 2), ("0", 2), (0, None)])
def test_numbers_that_are_none_are_refused(arguments: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match=r"of a Slurm array must be a whole number from"):
        SlurmArrayConfig(*arguments)


@pytest.mark.parametrize(
    ("config", "shard", "is_in_range"),
    [
        (SlurmArrayConfig(0, 4), (0, 4), True),
        (SlurmArrayConfig(3, 4), (3, 4), True),
        (SlurmArrayConfig(4, 4), (4, 4), False),
        (SlurmArrayConfig(1, 4, 1), (0, 4), True),
        (SlurmArrayConfig(4, 4, 1), (3, 4), True),
        (SlurmArrayConfig(0, 4, 1), (-1, 4), False),
        (SlurmArrayConfig(9, 4, 1), (8, 4), False),
    ],
)
def test_the_engine_counts_from_0(config: SlurmArrayConfig, shard: tuple[int, int], is_in_range: bool) -> None:
    assert config.shard == shard
    assert config.is_in_range is is_in_range
