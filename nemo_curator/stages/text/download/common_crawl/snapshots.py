"""Which crawls lie between two dates: pure, no network, no clock."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from datetime import date

from nemo_curator.errors import OptionError

__all__ = ["main_snapshots", "months_between", "parse_range"]

_log = logging.getLogger(__name__)

_SNAPSHOT = re.compile(r"(\d{4})-(\d{2})")
_MAIN_ID = re.compile(r"CC-MAIN-(\d{4})-(\d{2})")
_FIRST_NEWS = (2016, 8)
_UNITS = {"main": ("week", "YYYY-WW", 53), "news": ("month", "YYYY-MM", 12)}

Snapshot = tuple[int, int]


def parse_range(start: str, end: str, crawl_type: str, today: date) -> tuple[Snapshot, Snapshot]:
    """Return first and last snapshot, as year and week (main crawls) or year and month (news).

    An end in the future becomes today, with a warning.

    Raises:
        OptionError: One is not written as it should be, the first comes after the last, or there was no crawl then; a `ValueError`.
    """
    first, last = (_parse(text, crawl_type) for text in (start, end))
    if first > last:
        message = f"start_snapshot {start!r} comes after end_snapshot {end!r}; exchange them"
        raise OptionError(message)
    if crawl_type == "news" and first < _FIRST_NEWS:
        message = f"start_snapshot {start!r}: the first news crawl is that of 2016-08; start there or later"
        raise OptionError(message)
    iso = today.isocalendar()
    latest = (iso.year, iso.week) if crawl_type == "main" else (today.year, today.month)
    if first > latest:
        message = f"start_snapshot {start!r} is in the future; today is {_written(latest)}"
        raise OptionError(message)
    if last > latest:
        _log.warning("end_snapshot %s is in the future; %s is used", end, _written(latest))
        last = latest
    return first, last


def _parse(text: str, crawl_type: str) -> Snapshot:
    unit, form, most = _UNITS[crawl_type]
    match = _SNAPSHOT.fullmatch(text) if isinstance(text, str) else None  # pyright: ignore[reportUnnecessaryIsInstance] - user input
    if match is None or not 1 <= int(match[2]) <= most:
        message = (
            f"a snapshot of the {crawl_type} crawl is written {form}, with a {unit} from 01 to {most}; got {text!r}"
        )
        raise OptionError(message)
    return int(match[1]), int(match[2])


def _written(snapshot: Snapshot) -> str:
    return f"{snapshot[0]}-{snapshot[1]:02d}"


def main_snapshots(known: Iterable[str], first: Snapshot, last: Snapshot) -> list[str]:
    """Return the ids of crawls (``CC-MAIN-2024-10``) from the first to the last snapshot, the newest first.

    The crawls before 2013, whose ids name years only, have no weeks and are left out.
    """
    found = {(int(match[1]), int(match[2])): name for name in known if (match := _MAIN_ID.fullmatch(name))}
    return [found[snapshot] for snapshot in sorted(found, reverse=True) if first <= snapshot <= last]


def months_between(first: Snapshot, last: Snapshot) -> list[Snapshot]:
    """Return all months from the first to the last, the newest first."""
    numbers = range(last[0] * 12 + last[1] - 1, first[0] * 12 + first[1] - 2, -1)
    return [(number // 12, number % 12 + 1) for number in numbers]
