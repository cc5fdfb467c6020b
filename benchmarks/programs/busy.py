"""How busy workers were, from their journals: a line with start and end, in seconds of one clock, for every call."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["busy_of"]

_WARM_UP = 0.1
"""Part of a worker's calls that does not count, from the first one on."""

Call = tuple[float, float]


def busy_of(journals: Sequence[str]) -> dict[str, float]:
    """Return how much of their time workers were in a call.

    ``busy_mean`` and ``busy_worst`` look at each worker from its first call after the warm-up to its last. ``busy_together`` looks
    at all from when the last of them has warmed up to the very last call, so that a worker that gets no more counts too.
    ``calls`` and ``workers`` count; workers that never had a call do not.
    """
    workers = [calls for journal in journals if (calls := sorted(map(_call, journal.splitlines())))]
    warm = [calls[int(len(calls) * _WARM_UP) :] for calls in workers]
    if not warm:
        return {"calls": 0, "workers": 0, "busy_mean": 0.0, "busy_worst": 0.0, "busy_together": 0.0}
    spans = [calls[-1][1] - calls[0][0] for calls in warm]
    busy = [sum(end - start for start, end in calls) for calls in warm]
    begin = max(calls[0][0] for calls in warm)
    finish = max(calls[-1][1] for calls in warm)
    inside = sum(max(0.0, end - max(start, begin)) for calls in warm for start, end in calls)
    return {
        "calls": sum(map(len, workers)),
        "workers": len(workers),
        "busy_mean": sum(busy) / sum(spans),
        "busy_worst": min(part / span for part, span in zip(busy, spans, strict=True)),
        "busy_together": inside / ((finish - begin) * len(warm)),
    }


def _call(line: str) -> Call:
    start, end = line.split()
    return float(start), float(end)
