"""Which stretches of a long recording become snippets to train with. Pure: segments in, snippets out."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nemo_curator.errors import DataError

__all__ = ["check_segments", "count_in", "plan_snippets", "recording_id", "repetition", "without_overlaps", "words_of"]

Segment = Mapping[str, Any]
_UNSAFE = re.compile(r"[^\w-]+")


def recording_id(path: str) -> str:
    """Return a name for a recording that files can have: its own, and eight digits of the SHA-256 of its path."""
    stem = _UNSAFE.sub("-", os.path.splitext(os.path.basename(path))[0])[:100]
    return f"{stem}_{hashlib.sha256(path.encode()).hexdigest()[:8]}"


def count_in(stats: dict[str, float], **counts: float) -> None:
    """Add to counts by name."""
    for name, count in counts.items():
        stats[name] = stats.get(name, 0) + count


def check_segments(segments: object, what: str) -> list[dict[str, Any]]:
    """Return segments in the order of their start.

    Raises:
        DataError: They are no list of objects with times in order.
    """
    if not isinstance(segments, list):
        message = f"{what} has no list of segments, but {type(segments).__name__}"
        raise DataError(message)
    for number, segment in enumerate(segments):
        start, end = (segment.get("start"), segment.get("end")) if isinstance(segment, Mapping) else (None, None)
        if not isinstance(start, (int, float)) or not isinstance(end, (int, float)) or not 0 <= start <= end:
            message = f"segment {number} of {what} has no times in order: {segment!r}"
            raise DataError(message)
    return sorted(segments, key=lambda each: (each["start"], each["end"]))


def without_overlaps(segments: Sequence[Segment], most: float) -> list[Segment]:
    """Return the segments of which others cover no more than that share.

    Args:
        segments: In the order of their start.
        most: Share of a segment's length, 0 to 1.
    """
    kept: list[Segment] = []
    reach: list[float] = []
    for segment in segments:
        reach.append(max(segment["end"], reach[-1] if reach else 0.0))
    for number, segment in enumerate(segments):
        start, end = segment["start"], segment["end"]
        spans: list[tuple[float, float]] = []
        before = number - 1
        while before >= 0 and reach[before] > start:
            spans.append((segments[before]["start"], segments[before]["end"]))
            before -= 1
        after = number + 1
        while after < len(segments) and segments[after]["start"] < end:
            spans.append((segments[after]["start"], segments[after]["end"]))
            after += 1
        covered, at = 0.0, start
        for low, high in sorted(spans):
            covered += max(0.0, min(high, end) - max(low, at))
            at = max(at, min(high, end))
        if covered <= most * (end - start):
            kept.append(segment)
    return kept


def plan_snippets(
    segments: Sequence[Segment], path: str, *, shortest: float, longest: float, gap: float
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Return snippets, and how many segments are in none, by reason.

    A snippet takes one segment after the other, as long as it is not too long and pauses are not.

    Args:
        segments: In the order of their start.
        path: The recording.
        shortest: Least length of a snippet in seconds.
        longest: Greatest length of a snippet in seconds.
        gap: Longest pause within a snippet in seconds.
    """
    groups: list[list[Segment]] = []
    lost: Counter[str] = Counter()
    end = 0.0
    for segment in segments:
        if segment["end"] - segment["start"] > longest:
            lost["segment_long"] += 1
            continue
        fits = bool(groups) and max(end, segment["end"]) - groups[-1][0]["start"] <= longest
        if fits and segment["start"] - end <= gap:
            groups[-1].append(segment)
            end = max(end, segment["end"])
        else:
            groups.append([segment])
            end = segment["end"]
    snippets: list[dict[str, Any]] = []
    for group in groups:
        start, end = group[0]["start"], max(each["end"] for each in group)
        if end - start < shortest:
            lost["segment_short"] += len(group)
            continue
        texts = [str(each.get("text") or "").strip() for each in group]
        name = f"{recording_id(path)}_{round(1000 * start):08d}_{round(1000 * end):08d}"
        snippets.append(
            {
                "snippet_id": name,
                "start": start,
                "end": end,
                "duration": round(end - start, 3),
                "text": " ".join(text for text in texts if text),
                "num_segments": len(group),
                "speakers": sorted({str(each["speaker"]) for each in group if each.get("speaker") is not None}),
            }
        )
    return snippets, lost


def words_of(text: str) -> list[str]:
    """Return the words of a text, as repetition is counted: NFKC, lower case, without punctuation; signs of Chinese and Japanese one by one."""
    text = unicodedata.normalize("NFKC", text).lower()
    return re.findall(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+", text)


def repetition(tokens: Sequence[Any], n: int) -> float:
    """Return the share of a text's n-grams that were there before, 0 to 1; 0 if it has fewer than two."""
    grams = [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if len(grams) > 1 else 0.0
