"""The cases that every backend passes, one module a part of the contract."""

from __future__ import annotations

from importlib import import_module

from nemo_curator.testing.conformance.case import Case

__all__ = ["Case", "conformance_cases"]

_PARTS = (
    "batching",
    "drops",
    "errors",
    "fan_out",
    "identity",
    "lifecycle",
    "outputs",
    "plans",
    "records",
    "recovery",
    "resume",
)


def conformance_cases() -> list[Case]:
    """Return all cases, in a fixed order."""
    cases: list[Case] = []
    for part in _PARTS:
        cases += import_module(f"{__name__}.{part}").CASES.cases
    return cases
