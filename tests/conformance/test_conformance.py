"""Every conformance case on every backend."""

from __future__ import annotations

import pytest

from nemo_curator.testing import BackendUnderTest, Case, conformance_cases

CASES = conformance_cases()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_conformance(case: Case, backend: BackendUnderTest) -> None:
    case.check(backend)


def test_there_are_enough_cases_and_each_has_a_name_of_its_own() -> None:
    assert len(CASES) >= 100
    assert len({case.name for case in CASES}) == len(CASES)
