"""`Case`: one thing that backends could get wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemo_curator.testing.backend import BackendUnderTest

__all__ = ["Case", "Cases"]

Check = Callable[["BackendUnderTest"], None]


@dataclass(frozen=True)
class Case:
    """A named check that raises `AssertionError` when a backend does not conform."""

    name: str
    check: Check

    def __str__(self) -> str:
        return self.name


@dataclass
class Cases:
    """The cases of one part of the contract; use it as a decorator."""

    part: str
    cases: list[Case] = field(default_factory=list)

    def __call__(self, check: Check) -> Check:
        """Add a check; its name is the case's."""
        self.cases.append(Case(f"{self.part}-{check.__name__}", check))
        return check
