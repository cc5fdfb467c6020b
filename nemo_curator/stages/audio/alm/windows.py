"""Windows of conversation for audio language models: which stretches of a recording make one. Pure: entries in, windows out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.errors import DataError

__all__ = ["Built", "WindowRules", "best_windows", "build_windows", "span_of"]

_NO_SPEAKER = "no-speaker"
_SPEAKERS_SHOWN = 5
LOSSES = ("bw", "sr", "spk", "no_spkr", "win", "next_seg_bw")
"""Why no window begins at a segment: its bandwidth, the sample rate, too few or too many speakers, nobody known to speak, no window of
the wanted length, or a segment of too little bandwidth that came too early."""

Segment = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WindowRules:
    """What a window is.

    Attributes:
        target: Wanted length in seconds.
        tolerance: How far from it a window may be, as a fraction.
        min_bandwidth: Least bandwidth of every segment in Hz, under ``metrics.bandwidth``.
        min_speakers: Fewest speakers.
        max_speakers: Most speakers.
        truncation: Cut the last segment after a word, if it would make the window too long.
        drop_fields: Keys to leave out of segments.
    """

    target: float
    tolerance: float
    min_bandwidth: float
    min_speakers: int
    max_speakers: int
    truncation: bool
    drop_fields: frozenset[str] = frozenset()

    @property
    def shortest(self) -> float:
        """Least length in seconds."""
        return self.target * (1 - self.tolerance)

    @property
    def longest(self) -> float:
        """Greatest length in seconds."""
        return self.target * (1 + self.tolerance)


@dataclass(slots=True)
class Built:
    """What was made of a recording.

    Attributes:
        windows: Each with ``segments`` and ``speaker_durations``.
        stats: Segments and seconds in all, and those that no window begins at, by reason.
        truncation_events: How many windows end in a segment that was cut.
    """

    windows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    stats: dict[str, float] = field(default_factory=dict[str, float])
    truncation_events: int = 0

    def lose(self, reason: str, segment: Segment) -> None:
        """Count a segment that no window begins at."""
        self.stats[f"lost_{reason}"] += 1
        self.stats[f"dur_lost_{reason}"] += segment["end"] - segment["start"]


def build_windows(segments: Sequence[Segment], rules: WindowRules, *, rate_is_enough: bool = True) -> Built:
    """Return a window for every segment that one can begin at. They overlap; `best_windows` chooses.

    Raises:
        DataError: A segment has no ``start`` and ``end``, in order.
    """
    ordered = _checked(segments)
    built = Built(
        stats={"total_segments": len(ordered), "total_dur": sum(each["end"] - each["start"] for each in ordered)}
    )
    built.stats |= {f"{kind}_{reason}": 0 for kind in ("lost", "dur_lost") for reason in LOSSES}
    for first, segment in enumerate(ordered):
        if not rate_is_enough:
            built.lose("sr", segment)
        elif _bandwidth(segment) < rules.min_bandwidth:
            built.lose("bw", segment)
        else:
            members, stopped_by, cut = _extended(ordered, first, rules)
            problem = _problem(members, rules)
            if problem:
                built.lose(stopped_by if problem == "win" and stopped_by else problem, segment)
                continue
            built.truncation_events += cut
            built.windows.append(_window(members, rules))
    return built


def _checked(segments: Sequence[Segment]) -> list[Segment]:
    for number, segment in enumerate(segments):
        start, end = segment.get("start"), segment.get("end")
        if not isinstance(start, (int, float)) or not isinstance(end, (int, float)) or not start <= end:
            message = f"segment {number} has no times in order: start is {start!r}, end is {end!r}"
            raise DataError(message)
    return sorted(segments, key=lambda each: (each["start"], each["end"]))


def _bandwidth(segment: Segment) -> float:
    return (segment.get("metrics") or {}).get("bandwidth") or 0


def _speakers(members: Sequence[Segment]) -> set[str]:
    return {str(each.get("speaker", _NO_SPEAKER)) for each in members}


def _extended(ordered: Sequence[Segment], first: int, rules: WindowRules) -> tuple[list[Segment], str, bool]:
    """Return the members of the window, why it went no further, if for a fault, and whether the last was cut."""
    begin = ordered[first]["start"]
    members: list[Segment] = []
    for segment in ordered[first:]:
        if _bandwidth(segment) < rules.min_bandwidth:
            return members, "next_seg_bw", False
        speakers = _speakers([*members, segment])
        if _NO_SPEAKER in speakers:
            return members, "no_spkr", False
        if len(speakers) > rules.max_speakers:
            return members, "spk", False
        if segment["end"] - begin > rules.longest:
            piece = _cut(segment, begin + rules.longest) if rules.truncation else None
            return ([*members, piece], "", True) if piece else (members, "", False)
        members.append(segment)
    return members, "", False


def _cut(segment: Segment, latest: float) -> Segment | None:
    """Return the segment up to the last word that ends by then; nothing if there is none."""
    words = [word for word in segment.get("words") or () if word.get("end") is not None and word["end"] <= latest]
    if not words:
        return None
    text = " ".join(str(word.get("word", word.get("text", ""))).strip() for word in words)
    return {**segment, "words": words, "end": words[-1]["end"], **({"text": text} if "text" in segment else {})}


def _problem(members: Sequence[Segment], rules: WindowRules) -> str:
    if len(members) < 2:
        return "win"
    length = max(each["end"] for each in members) - members[0]["start"]
    if not rules.shortest <= length <= rules.longest:
        return "win"
    return "" if rules.min_speakers <= len(_speakers(members)) <= rules.max_speakers else "spk"


def _window(members: Sequence[Segment], rules: WindowRules) -> dict[str, Any]:
    spoken: dict[str, float] = {}
    for segment in members:
        speaker = str(segment.get("speaker"))
        spoken[speaker] = spoken.get(speaker, 0.0) + segment["end"] - segment["start"]
    longest = sorted(spoken.values(), reverse=True)[:_SPEAKERS_SHOWN]
    kept = [{key: value for key, value in each.items() if key not in rules.drop_fields} for each in members]
    return {"segments": kept, "speaker_durations": longest + [0.0] * (_SPEAKERS_SHOWN - len(longest))}


def span_of(window: Mapping[str, Any]) -> tuple[float, float]:
    """Return where a window begins and ends, in seconds.

    Raises:
        DataError: It has no segments.
    """
    members = window.get("segments")
    if not members:
        message = "a window has no segments"
        raise DataError(message)
    return min(each["start"] for each in members), max(each["end"] for each in members)


def best_windows(windows: Sequence[Mapping[str, Any]], overlap: float, target: float) -> list[Mapping[str, Any]]:
    """Return windows of which no two overlap by that share of the shorter one, or more; at 0, none overlap at all.

    Of two that do, the one goes whose length is farther from the target; if both are as far, the shorter one; then the later one.
    """
    spans = [span_of(window) for window in windows]

    def rank(number: int) -> tuple[float, float, float]:
        start, end = spans[number]
        return abs(end - start - target), start - end, start

    kept: list[int] = []
    for number in sorted(range(len(windows)), key=lambda each: spans[each]):
        rivals = [other for other in kept if _collide(spans[other], spans[number], overlap)]
        if all(rank(number) < rank(other) for other in rivals):
            kept = [other for other in kept if other not in rivals] + [number]
    return [windows[number] for number in kept]


def _collide(one: tuple[float, float], other: tuple[float, float], share: float) -> bool:
    common = min(one[1], other[1]) - max(one[0], other[0])
    shorter = min(one[1] - one[0], other[1] - other[0])
    return common > 0 and common >= share * shorter
