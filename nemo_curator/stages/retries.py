"""`Retries`: what a stage says about trying again."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MOST_ATTEMPTS", "Retries"]

MOST_ATTEMPTS = 1000


@dataclass(frozen=True)
class Retries:
    """How often and when a stage is called again with a task that it raised for. What is not said, the run's options say.

    Attributes:
        attempts: Attempts in all, the first one included.
        backoff_s: Seconds before the second attempt; doubled before each further one.
        max_backoff_s: The longest such pause.
        retry_on: Only these errors, and `TransientError`, are worth another attempt; all errors if none is named.
        never_on: These are not, whatever else is said.
    """

    attempts: int | None = None
    backoff_s: float | None = None
    max_backoff_s: float | None = None
    retry_on: tuple[type[BaseException], ...] = ()
    never_on: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        attempts = self.attempts
        if attempts is not None and not (type(attempts) is int and 1 <= attempts <= MOST_ATTEMPTS):
            message = f"Retries(attempts={attempts!r}) must be a whole number from 1 to {MOST_ATTEMPTS}"
            raise ValueError(message)
        for name in ("backoff_s", "max_backoff_s"):
            seconds = getattr(self, name)
            if seconds is not None and not (isinstance(seconds, (int, float)) and seconds >= 0):
                message = f"Retries({name}={seconds!r}) must be a number of seconds from 0"
                raise ValueError(message)
        for name in ("retry_on", "never_on"):
            kinds: object = getattr(self, name)
            if not isinstance(kinds, tuple) or not all(
                isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds
            ):
                message = f"Retries({name}={kinds!r}) must be a tuple of exception classes"
                raise TypeError(message)
