"""Personal data in documents: found by patterns or by Presidio; redacted, hashed or tagged. Importing it imports no library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.text.pii.finders import Finder, Finding, PatternFinder
    from nemo_curator.stages.text.pii.presidio import PresidioFinder
    from nemo_curator.stages.text.pii.stage import PiiStage

__all__ = ["Finder", "Finding", "PatternFinder", "PiiStage", "PresidioFinder"]

_MODULES = {"PiiStage": "stage", "PresidioFinder": "presidio"}

__getattr__ = lazy_names(__name__, {name: _MODULES.get(name, "finders") for name in __all__})


def __dir__() -> list[str]:
    return sorted(__all__)
