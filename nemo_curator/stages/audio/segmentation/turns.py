"""Who speaks when: turns of speakers, cleaned. Pure: numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Turn", "clean_turns", "overlaps_of"]


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody speaks.

    Attributes:
        start: When it begins, in seconds.
        end: When it ends.
        speaker: Who it is.
    """

    start: float
    end: float
    speaker: str


def clean_turns(
    turns: Sequence[Turn], *, total: float, exclude_overlaps: bool, gap: float, buffer: float, shortest: float
) -> dict[str, list[tuple[float, float]]]:
    """Return the turns of every speaker, sorted, by speaker in the order of their first words.

    Args:
        turns: In any order.
        total: Length of the recording in seconds; nothing reaches beyond.
        exclude_overlaps: Leave out where several speak, and `buffer` seconds before and after.
        gap: A shorter pause of a speaker is none.
        buffer: See `exclude_overlaps`.
        shortest: Shorter turns are left out in the end.
    """
    sound = [Turn(max(0.0, turn.start), min(total, turn.end), turn.speaker) for turn in turns]
    sound = sorted((turn for turn in sound if turn.end > turn.start), key=lambda turn: (turn.start, turn.end))
    found: dict[str, list[tuple[float, float]]] = {}
    for speaker in dict.fromkeys(turn.speaker for turn in sound):
        own = _joined([(turn.start, turn.end) for turn in sound if turn.speaker == speaker], gap)
        if exclude_overlaps:
            others = [(turn.start, turn.end) for turn in sound if turn.speaker != speaker]
            clashes = [
                (max(start, low) - buffer, min(end, high) + buffer)
                for start, end in own
                for low, high in others
                if start < high and low < end
            ]
            own = [piece for span in own for piece in _without(span, clashes)]
        kept = [span for span in own if span[1] - span[0] >= shortest]
        if kept:
            found[speaker] = kept
    return found


def overlaps_of(turns: Sequence[Turn]) -> list[tuple[float, float]]:
    """Return where several speak at a time, sorted; turns of one speaker that overlap are one."""
    speakers = dict.fromkeys(turn.speaker for turn in turns)
    own = [_joined([(turn.start, turn.end) for turn in turns if turn.speaker == who], 0.0) for who in speakers]
    common = [
        (max(start, low), min(end, high))
        for number, spans in enumerate(own)
        for start, end in spans
        for others in own[number + 1 :]
        for low, high in others
        if start < high and low < end
    ]
    return _joined(common, 0.0)


def _joined(spans: Sequence[tuple[float, float]], gap: float) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _without(span: tuple[float, float], clashes: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    start, end = span
    pieces: list[tuple[float, float]] = []
    for low, high in sorted(clashes):
        if high <= start or low >= end:
            continue
        if low > start:
            pieces.append((start, low))
        start = max(start, high)
    return [*pieces, (start, end)] if end > start else pieces
