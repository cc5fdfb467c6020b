"""`Wants`: how many tasks a collector shall put into a parcel."""

from __future__ import annotations

import time
from typing import Any

from nemo_curator.engine.plan import Segment
from nemo_curator.engine.sizing import PRICE_SECONDS

__all__ = ["Wants"]

_COSTS_SECONDS = 0.5
_BLIND = 64
_MOST = 4096


class Wants:
    """Knows how many tasks a segment shall get at a time, as far as the steward knows what they take."""

    def __init__(self, steward: Any, segment: Segment, seconds: float) -> None:
        self._steward = steward
        self._segment = segment
        self._seconds = max(seconds, PRICE_SECONDS)
        self._asked_at = 0.0
        self._number = max(1, _BLIND // segment.batch_size) * segment.batch_size

    def number(self) -> int:
        """Return it; asks twice a second at most."""
        now = time.monotonic()
        if now - self._asked_at > _COSTS_SECONDS:
            self._asked_at = now
            cost = self._steward.known.remote().future().result()[0].get(self._segment.index)
            if cost is not None:
                self._number = min(_MOST, max(self._segment.batch_size, int(self._seconds / cost)))
        return self._number
