"""A waveform with the segments that were found in it, as SVG. The same numbers give the same file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np

WIDTH, HEIGHT, MARGIN, TOP = 1000, 150, 20, 40
KEPT, LOST, WAVE, TEXT = "#2e8b57", "#c0504d", "#44546a", "#333333"


def draw(samples: Any, rate: int, segments: Sequence[dict[str, Any]], enough: float) -> str:
    """Return the picture: the envelope of the sound, segments as bands, and under it a line for each.

    Args:
        samples: Shape ``(samples,)``, -1 to 1.
        rate: Their rate in Hz.
        segments: With ``original_start_ms``, ``original_end_ms``, ``dnsmos_ovrl`` and ``pred_text``.
        enough: The score from which a segment was kept.
    """
    seconds = len(samples) / rate
    height = TOP + HEIGHT + 40 + 22 * len(segments) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 2 * MARGIN} {height}" font-family="sans-serif" font-size="14">',
        f'<rect width="100%" height="100%" fill="white"/><text x="{MARGIN}" y="24" fill="{TEXT}">'
        f"{seconds:.1f} s of speech under growing noise: segments found, and kept if DNSMOS is {enough:g} or more</text>",
        *_bands(segments, seconds, enough),
        _envelope(samples),
        *_axis(seconds),
        *_legend(segments, enough),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _colour(segment: dict[str, Any], enough: float) -> str:
    return KEPT if segment["dnsmos_ovrl"] >= enough else LOST


def _bands(segments: Sequence[dict[str, Any]], seconds: float, enough: float) -> Iterator[str]:
    for number, segment in enumerate(segments, start=1):
        left = MARGIN + WIDTH * segment["original_start_ms"] / 1000 / seconds
        width = WIDTH * segment["duration"] / seconds
        colour = _colour(segment, enough)
        yield f'<rect x="{left:.1f}" y="{TOP}" width="{width:.1f}" height="{HEIGHT}" fill="{colour}" fill-opacity="0.22"/>'
        yield f'<text x="{left + 4:.1f}" y="{TOP + 16}" fill="{colour}" font-weight="bold">{number}</text>'


def _envelope(samples: Any) -> str:
    columns = np.array_split(samples, WIDTH)
    middle, half = TOP + HEIGHT / 2, HEIGHT / 2 / max(0.1, float(np.abs(samples).max()))
    upper = [f"{MARGIN + x},{middle - half * float(part.max()):.1f}" for x, part in enumerate(columns)]
    lower = [f"{MARGIN + x},{middle - half * float(part.min()):.1f}" for x, part in enumerate(columns)]
    return f'<polygon points="{" ".join(upper + lower[::-1])}" fill="{WAVE}"/>'


def _axis(seconds: float) -> Iterator[str]:
    for second in range(0, int(seconds) + 1, 5):
        x = MARGIN + WIDTH * second / seconds
        yield f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" fill="{TEXT}" text-anchor="middle" font-size="12">{second} s</text>'


def _legend(segments: Sequence[dict[str, Any]], enough: float) -> Iterator[str]:
    for number, segment in enumerate(segments, start=1):
        y = TOP + HEIGHT + 22 + 22 * number
        words = f"{number}   DNSMOS {segment['dnsmos_ovrl']:.2f}   {segment['pred_text'] or '(nothing recognised)'}"
        yield f'<text x="{MARGIN}" y="{y}" fill="{_colour(segment, enough)}">{escape(words)}</text>'
