"""Importing this puts out the beacons of this process, and of every worker that gets a `DarkTexts`: for measuring what they cost."""

from __future__ import annotations

from benchmarks.programs.text_stages import Texts
from nemo_curator.engine.beacon import Beacon

__all__ = ["DarkTexts"]


def _nothing(self: Beacon, *_arguments: object) -> None:
    """Do nothing."""


Beacon.at = Beacon.enter = Beacon.leave = _nothing  # type: ignore[method-assign]


class DarkTexts(Texts):
    """The source of a run without beacons."""
