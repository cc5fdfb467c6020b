"""Memory of fuzzy deduplication is that of its tasks, not of its documents, of which only those with duplicates take some 100 bytes each."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.entries.dedup_memory import MEMORY_GB, command
from benchmarks.measure import measure

_MIB_FOR_100_BYTES = 100 / 1024**2
_SHARE_OF_DUPLICATES = 0.2
"""Every tenth document is nearly one that came before, which then is a duplicate of it."""


def _peaks(counts: tuple[int, int], in_part: int, folder: Path) -> tuple[float, float]:
    """Return the MiB that driver and workers had at most, with so many documents."""
    peaks = []
    for count in counts:
        out = folder / str(count)
        out.mkdir()
        sample = measure(command(count, out, in_part))
        assert sample.facts["duplicates"] >= 0.09 * count
        peaks.append(sample.tree_mb)
    first, second = peaks
    return first, second


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_memory_does_not_grow_from_80000_to_320000_documents(tmp_path: Path) -> None:
    # Even the smaller number is more tasks than workers: both have one at a time.
    few, many = _peaks((80_000, 320_000), 20_000, tmp_path)
    assert many - few < 50


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_eight_million_documents_stay_within_the_budget(tmp_path: Path) -> None:
    few, many = _peaks((1_000_000, 8_000_000), 500_000, tmp_path)
    assert many < MEMORY_GB * 1024
    assert many - few < 7_000_000 * _SHARE_OF_DUPLICATES * _MIB_FOR_100_BYTES + 100
