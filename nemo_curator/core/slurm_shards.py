"""`SlurmArrayConfig`: which shard of all sources a task of a Slurm array takes, as its environment says. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from nemo_curator.errors import OptionError

__all__ = ["ENABLED", "INDEX", "MINIMUM", "TOTAL", "SlurmArrayConfig", "only_slurm_asks"]

_OURS = "NEMO_CURATOR_SLURM_ARRAY_"
ENABLED, INDEX, TOTAL, MINIMUM = (
    f"{_OURS}{name}" for name in ("ENABLED", "SHARD_INDEX", "TOTAL_SHARDS", "MINIMUM_SHARD_INDEX")
)
_THEIRS = "SLURM_ARRAY_TASK_"
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class SlurmArrayConfig:
    """The shard of all sources that a run takes.

    Attributes:
        shard_index: Its index. One outside of ``minimum_shard_index ... minimum_shard_index + total_shards - 1`` gets no source.
        total_shards: Shards that the sources are divided into; a retry of some of them keeps it.
        minimum_shard_index: Index of the first shard.

    Raises:
        OptionError: A number is not whole, `total_shards` is less than 1, or another one is negative. A `ValueError`.
    """

    shard_index: int
    total_shards: int
    minimum_shard_index: int = 0

    def __post_init__(self) -> None:
        _check("shard_index", self.shard_index, 0)
        _check("total_shards", self.total_shards, 1)
        _check("minimum_shard_index", self.minimum_shard_index, 0)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> SlurmArrayConfig | None:
        """Return what the environment says; `None` when it says nothing, or that arrays are not to be looked at.

        ``NEMO_CURATOR_SLURM_ARRAY_SHARD_INDEX`` and ``..._TOTAL_SHARDS`` count before Slurm's own ``SLURM_ARRAY_TASK_ID`` and
        ``SLURM_ARRAY_TASK_COUNT``. Where both are Slurm's, the first shard is ``SLURM_ARRAY_TASK_MIN`` unless
        ``..._MINIMUM_SHARD_INDEX`` says otherwise, and 0 elsewhere. A variable that is empty counts as not set.

        Args:
            environ: Where to look; this process's environment when not given.

        Raises:
            OptionError: A variable cannot be read or is missing, or Slurm's array has gaps, whose sources nobody would take.
        """
        environ = os.environ if environ is None else environ
        enabled = _is_enabled(environ)
        if enabled is False:
            return None
        index, total = _number(environ, INDEX, f"{_THEIRS}ID"), _number(environ, TOTAL, f"{_THEIRS}COUNT")
        minimum = _number(environ, MINIMUM)
        if enabled is None and index is None and total is None and minimum is None:
            return None
        if index is None or total is None:
            message = (
                "a shard of a Slurm array is wanted, but the environment does not say "
                f"{'which' if index is None else 'of how many'}: set {INDEX} and {TOTAL} (in an array job Slurm sets "
                f"{_THEIRS}ID and {_THEIRS}COUNT), or {ENABLED}=0 to take all sources"
            )
            raise OptionError(message)
        if not (_text(environ, INDEX) or _text(environ, TOTAL)):
            first = _first_of_an_array_without_gaps(environ, total)
            minimum = first if minimum is None else minimum
        return cls(index, total, minimum or 0)

    @property
    def shard(self) -> tuple[int, int]:
        """The shard counted from 0, and the number of shards, as the engine's `Sources` take it.

        Of a shard that `is_in_range` denies, the first number belongs to no source, so that a run with it takes none.
        """
        return self.shard_index - self.minimum_shard_index, self.total_shards

    @property
    def is_in_range(self) -> bool:
        """Whether there is such a shard."""
        return 0 <= self.shard[0] < self.total_shards


def only_slurm_asks(environ: Mapping[str, str]) -> bool:
    """Say whether none of this package's own variables is set, so that a shard can only come from Slurm's."""
    return not any(_text(environ, name) for name in (ENABLED, INDEX, TOTAL, MINIMUM))


def _check(name: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        message = f"{name} of a Slurm array must be a whole number from {least}, got {value!r}"
        raise OptionError(message)


def _text(environ: Mapping[str, str], variable: str) -> str:
    return environ.get(variable, "").strip()


def _is_enabled(environ: Mapping[str, str]) -> bool | None:
    word = _text(environ, ENABLED).lower()
    if word and word not in {*_YES, *_NO}:
        message = f"{ENABLED} is {word!r}; write {', '.join(_YES)} or {', '.join(_NO)}"
        raise OptionError(message)
    return word in _YES if word else None


def _number(environ: Mapping[str, str], *variables: str) -> int | None:
    """Return what the first of the variables that is set says."""
    for variable in variables:
        if text := _text(environ, variable):
            try:
                return int(text)
            except ValueError:
                message = f"{variable} is {text!r}, and a whole number was expected"
                raise OptionError(message) from None
    return None


def _first_of_an_array_without_gaps(environ: Mapping[str, str], total: int) -> int | None:
    first, last = _number(environ, f"{_THEIRS}MIN"), _number(environ, f"{_THEIRS}MAX")
    if first is not None and last is not None and last - first + 1 != total:
        message = (
            f"this Slurm array has {total} tasks with indices from {first} to {last}, so the shards in the gaps would be nobody's. Set {TOTAL} "
            f"and {MINIMUM} to those of the whole array, as for a retry of some of it, or {ENABLED}=0 if the array is not about shards"
        )
        raise OptionError(message)
    return first
