"""Hashes that are the same on every machine and in every run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

__all__ = ["get_deterministic_hash"]


def get_deterministic_hash(inputs: Iterable[str], seed: str = "") -> str:
    """Return 12 hexadecimal characters that depend on the set of strings and the seed, not on their order.

    The first 12 characters of SHA-256 over the sorted inputs joined by ``|``, followed by ``|`` and the seed. Used for ids
    of file groups and for names of output files.
    """
    joined = "|".join(sorted(inputs)) + "|" + seed
    return hashlib.sha256(joined.encode()).hexdigest()[:12]
