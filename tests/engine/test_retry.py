"""Whether and when a task is tried again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.engine.options import RunOptions
from nemo_curator.engine.retry import GiveUp, Retry, RetryBudget, RetryPolicy
from nemo_curator.errors import DataError, StageContractError, TransientError
from nemo_curator.stages.retries import Retries

POLICY = RetryPolicy(max_attempts=2, transient_attempts=4, base_s=1.0, ceiling_s=3.0)


@pytest.mark.parametrize(
    ("error", "attempt", "expected"),
    [
        (ValueError(), 1, Retry(1.0)),
        (ValueError(), 2, GiveUp()),
        (TransientError(), 1, Retry(1.0)),
        (TransientError(), 2, Retry(2.0)),
        (TransientError(), 3, Retry(3.0)),
        (TransientError(), 4, GiveUp()),
        (StageContractError(), 1, GiveUp()),
        (DataError(), 1, GiveUp()),
    ],
)
def test_decision(error: Exception, attempt: int, expected: object) -> None:
    assert POLICY.decide(error, attempt) == expected


def test_transient_errors_get_no_fewer_attempts_than_others() -> None:
    policy = RetryPolicy(max_attempts=5, transient_attempts=2, base_s=0.0)
    assert policy.decide(TransientError(), 4) == Retry(0.0)
    assert policy.decide(TransientError(), 5) == GiveUp()


@pytest.mark.parametrize(
    ("retries", "error", "attempts"),
    [
        (None, ValueError(), 2),
        (None, MemoryError(), 1),
        (Retries(attempts=5), ValueError(), 5),
        (Retries(attempts=5), DataError(), 1),
        (Retries(attempts=5), TransientError(), 5),
        (Retries(attempts=5, retry_on=(OSError,)), ConnectionError(), 5),
        (Retries(attempts=5, retry_on=(OSError,)), ValueError(), 1),
        (Retries(attempts=5, retry_on=(OSError,)), TransientError(), 5),
        (Retries(attempts=5, retry_on=(OSError,), never_on=(PermissionError,)), PermissionError(), 1),
        (Retries(attempts=5, retry_on=(DataError,)), DataError(), 5),
        (Retries(attempts=1), TransientError(), 1),
    ],
)
def test_what_a_stage_says_wins(retries: Retries | None, error: Exception, attempts: int) -> None:
    policy = RetryPolicy.of(RunOptions(max_attempts=2), retries)
    decisions = [isinstance(policy.decide(error, attempt), Retry) for attempt in range(1, 8)]
    assert decisions == [attempt < attempts for attempt in range(1, 8)]


@given(st.integers(1, 2000), st.floats(0, 1), st.floats(0, 100), st.floats(0, 100))
def test_a_pause_is_never_longer_than_the_ceiling(attempt: int, luck: float, base: float, ceiling: float) -> None:
    policy = RetryPolicy(max_attempts=3000, base_s=base, ceiling_s=ceiling)
    decision = policy.decide(ValueError(), attempt, luck=luck)
    assert isinstance(decision, Retry)
    whole = min(base * 2.0 ** min(attempt - 1, 1000), ceiling)
    assert whole / 2 <= decision.after_s <= whole


def test_an_error_may_say_when_to_come_back() -> None:
    error = TransientError("busy")
    error.retry_after_s = 7  # type: ignore[attr-defined]
    assert RetryPolicy(base_s=0.1, ceiling_s=60).decide(error, 1) == Retry(7.0)
    assert RetryPolicy(base_s=0.1, ceiling_s=5).decide(error, 1) == Retry(5)


@given(st.integers(0, 20), st.floats(0, 1), st.lists(st.booleans(), max_size=200))
def test_a_budget_is_never_overdrawn(reserve: int, share: float, calls: list[bool]) -> None:
    budget = RetryBudget(reserve, share)
    spent = earned = 0
    for wants_retry in calls:
        if wants_retry:
            spent += budget.spend()
        else:
            budget.earn(1)
            earned += 1
        assert spent <= reserve + share * earned + 1e-6


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"attempts": 0}, "whole number from 1 to 1000"),
        ({"attempts": True}, "whole number"),
        ({"attempts": 1001}, "1000"),
        ({"backoff_s": -1}, "seconds from 0"),
        ({"retry_on": ValueError}, "tuple of exception classes"),
        ({"never_on": ("ValueError",)}, "tuple of exception classes"),
    ],
)
def test_what_cannot_be_asked_for(given_: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        Retries(**given_)
