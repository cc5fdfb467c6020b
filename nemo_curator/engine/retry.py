"""Shall a task that raised be tried again? Decided by the kind of error, without a clock."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_curator.engine.options import RunOptions
from nemo_curator.errors import DataError, StageContractError, TransientError

__all__ = ["GiveUp", "Retry", "RetryPolicy"]


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after so many seconds."""

    after_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The task has failed."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempts and pauses.

    Attributes:
        max_attempts: Attempts for an error that says nothing about itself.
        transient_attempts: Attempts for a `TransientError`.
        base_s: Pause after the first attempt; doubled after each further one.
        ceiling_s: Longest pause.
    """

    max_attempts: int = 1
    transient_attempts: int = 3
    base_s: float = 0.1
    ceiling_s: float = 10.0

    @classmethod
    def of(cls, options: RunOptions) -> RetryPolicy:
        """Return the policy that a run's options ask for."""
        return cls(max_attempts=options.max_attempts, transient_attempts=options.transient_attempts)

    def decide(self, error: BaseException, attempt: int) -> Retry | GiveUp:
        """Decide after the `attempt`-th attempt (from 1) raised `error`."""
        if attempt >= self._attempts_for(error):
            return GiveUp()
        return Retry(after_s=min(self.base_s * 2 ** (attempt - 1), self.ceiling_s))

    def _attempts_for(self, error: BaseException) -> int:
        # A broken contract and unreadable data are the same the next time.
        if isinstance(error, (StageContractError, DataError)):
            return 1
        if isinstance(error, TransientError):
            return max(self.transient_attempts, self.max_attempts)
        return self.max_attempts
