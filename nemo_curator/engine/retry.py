"""Shall a task that raised be tried again, and when? Decided by the kind of error, without a clock."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_curator.engine.options import RunOptions
from nemo_curator.errors import DataError, StageContractError, TransientError
from nemo_curator.stages.retries import Retries

__all__ = ["GiveUp", "Retry", "RetryBudget", "RetryPolicy"]


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after so many seconds."""

    after_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The task has failed."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempts and pauses of one stage.

    The pause doubles with every attempt up to a ceiling, and chance takes off up to a half of it ("equal jitter": Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

    Attributes:
        max_attempts: Attempts for an error that says nothing about itself.
        transient_attempts: Attempts for a `TransientError`.
        base_s: Pause after the first attempt.
        ceiling_s: Longest pause.
        retry_on: If there are any, only these errors (and `TransientError`) are worth another attempt.
        never_on: These are not, whatever else is said.
    """

    max_attempts: int = 1
    transient_attempts: int = 3
    base_s: float = 0.1
    ceiling_s: float = 10.0
    retry_on: tuple[type[BaseException], ...] = ()
    never_on: tuple[type[BaseException], ...] = ()

    @classmethod
    def of(cls, options: RunOptions, retries: Retries | None = None) -> RetryPolicy:
        """Return the policy that a run's options ask for, with what the stage says about itself."""
        own = retries or Retries()
        attempts = options.max_attempts if own.attempts is None else own.attempts
        return cls(
            max_attempts=attempts,
            transient_attempts=options.transient_attempts if own.attempts is None else own.attempts,
            base_s=options.retry_backoff_s if own.backoff_s is None else own.backoff_s,
            ceiling_s=options.retry_max_backoff_s if own.max_backoff_s is None else own.max_backoff_s,
            retry_on=own.retry_on,
            never_on=own.never_on,
        )

    def decide(self, error: BaseException, attempt: int, *, luck: float = 1.0) -> Retry | GiveUp:
        """Decide after the `attempt`-th attempt (from 1) raised `error`.

        Args:
            error: What was raised. A number `retry_after_s` on it is the shortest pause, up to the ceiling.
            attempt: Which attempt it was.
            luck: From 0 to 1, where in its upper half the pause lies.
        """
        if attempt >= self._attempts_for(error):
            return GiveUp()
        # 2.0 ** 1000 is still a float.
        pause = min(self.base_s * 2.0 ** min(attempt - 1, 1000), self.ceiling_s) * (0.5 + luck / 2)
        asked = getattr(error, "retry_after_s", None)
        if isinstance(asked, (int, float)) and asked > pause:
            pause = min(float(asked), self.ceiling_s)
        return Retry(after_s=pause)

    def decide_setup(self, error: BaseException, attempt: int, *, luck: float = 1.0) -> Retry | GiveUp:
        """Decide after a `setup` raised: it is tried again where it says that this may help."""
        return self.decide(error, attempt, luck=luck) if isinstance(error, TransientError) else GiveUp()

    def _attempts_for(self, error: BaseException) -> int:
        if isinstance(error, self.never_on):
            return 1
        if isinstance(error, TransientError):
            return max(self.transient_attempts, self.max_attempts)
        if self.retry_on:
            return self.max_attempts if isinstance(error, self.retry_on) else 1
        # A broken contract, unreadable data and what does not fit in memory are the same the next time.
        if isinstance(error, (StageContractError, DataError, MemoryError)):
            return 1
        return self.max_attempts


class RetryBudget:
    """What one stage may spend on further attempts in one worker: so many, and beyond that a share of its calls.

    When everything fails, trying everything several times makes it worse (the idea is that of Finagle's `RetryBudget`).

    Args:
        reserve: Further attempts whatever their share.
        share: Share of calls that may be further attempts, from 0 to 1.
    """

    def __init__(self, reserve: int, share: float) -> None:
        self._left = float(reserve)
        self._share = share

    def earn(self, calls: int) -> None:
        """Note calls that were no further attempts."""
        self._left += calls * self._share

    def spend(self) -> bool:
        """Take one further attempt; say whether there was one left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
