"""Lists of what there is to download: fetched, and read as what they should be."""

from __future__ import annotations

import json
from typing import Any

from nemo_curator.errors import DataError, IndexUnavailable, InputError, TransientError
from nemo_curator.utils.archives import gunzip
from nemo_curator.utils.http_fetch import HttpPolicy, fetch_bytes

__all__ = ["INDEX_POLICY", "fetch_gzipped_lines", "fetch_index", "fetch_json"]

INDEX_POLICY = HttpPolicy(max_bytes=1 << 28)
"""Indexes are megabytes; what is much larger is something else."""

_LARGEST = 1 << 30


def fetch_index(url: str, what: str, policy: HttpPolicy) -> bytes:
    """Return the content of an index.

    Args:
        url: Where it is.
        what: What it is, for messages: ``"the list of crawls"``.
        policy: How to fetch it.

    Raises:
        IndexUnavailable: It cannot be fetched; a `RuntimeError`.
    """
    try:
        return fetch_bytes(url, policy)
    except (TransientError, DataError, InputError) as error:
        message = f"{what} cannot be had: {error}"
        raise IndexUnavailable(message) from error


def fetch_json(url: str, what: str, policy: HttpPolicy) -> Any:
    """Return the content of an index in JSON; raises as `fetch_index` does, and when it is no JSON."""
    data = fetch_index(url, what, policy)
    try:
        return json.loads(data)
    except ValueError as error:
        message = f"{what}, from {url}, should be JSON but is not: {error}. It begins with {data[:60]!r}"
        raise IndexUnavailable(message) from error


def fetch_gzipped_lines(url: str, what: str, policy: HttpPolicy) -> list[str]:
    """Return the lines of an index of text in gzip that are not blank; raises as `fetch_index` does, and when it is no gzip."""
    data = fetch_index(url, what, policy)
    try:
        return [line.strip() for line in gunzip(data, _LARGEST, url).decode("utf-8").splitlines() if line.strip()]
    except ValueError as error:  # no gzip, or no UTF-8
        message = f"{what} cannot be read: {error}"
        raise IndexUnavailable(message) from error
