"""Whether and when a task is tried again."""

from __future__ import annotations

import pytest

from nemo_curator.engine.retry import GiveUp, Retry, RetryPolicy
from nemo_curator.errors import DataError, StageContractError, TransientError

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
