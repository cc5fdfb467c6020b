"""The page of a report: HTML with plain SVG in it. It loads nothing from anywhere and runs no script, and all that comes from data is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nemo_curator.stages.deduplication.report import Chart, Findings, Group

__all__ = ["bar_chart", "page", "size_bars", "source_bars"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
th { font-weight: 600; } svg { max-width: 100%; height: auto; } svg text { font: 13px system-ui, sans-serif; fill: #222; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f5f5f5; padding: .5rem; margin: .2rem 0; }
.stays { border-left: 4px solid #3a7d44; } .goes { border-left: 4px solid #b5483a; } .small { color: #666; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_MOST_BARS = 30
_NAME_CHARACTERS = 40
_ROW, _NAMES, _BARS, _VALUES = 22, 300, 420, 110


def page(findings: Findings) -> str:
    """Return the page."""
    survey = findings.survey
    share = findings.removed / survey.documents if survey.documents else 0.0
    groups = sum(findings.sizes.values())
    facts = [
        ("documents", f"{survey.documents:,}"),
        ("removed", f"{findings.removed:,} ({share:.2%})"),
        ("groups of duplicates", f"{groups:,}"),
        ("largest group", f"{max(findings.sizes, default=0):,}"),
    ]
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts)
    charts = [Chart("Groups by size", size_bars(findings.sizes))]
    if survey.sources:
        charts.append(Chart("Share removed per source", source_bars(survey.sources), "%"))
    drawn = "".join(f"<h2>{escape(chart.title)}</h2>{bar_chart(chart)}" for chart in [*charts, *findings.charts])
    title = escape(_printable(findings.title))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><h1>{title}</h1><table>{rows}</table>\n"
        f"{drawn}\n{_largest(findings)}</body></html>\n"
    )


def size_bars(sizes: Mapping[int, int]) -> list[tuple[str, float]]:
    """Return how many groups there are of 2, 3, 4, and from there on of sizes that double: 5 to 8, 9 to 16 and so on."""
    bars: dict[tuple[int, int], int] = {}
    for size, number in sizes.items():
        last = 1 << (size - 1).bit_length()
        low_high = (size, size) if size <= 4 else (last // 2 + 1, last)
        bars[low_high] = bars.get(low_high, 0) + number
    return [
        (str(low) if low == high else f"{low} to {high}", float(number)) for (low, high), number in sorted(bars.items())
    ]


def source_bars(sources: Mapping[str, tuple[int, int]]) -> list[tuple[str, float]]:
    """Return the share that goes of the sources with the most documents; the rest together."""
    ordered = sorted(sources.items(), key=lambda item: (-item[1][0], item[0]))
    shown, rest = ordered[:_MOST_BARS], ordered[_MOST_BARS:]
    bars = [(f"{name} ({there:,})", gone / there) for name, (there, gone) in shown]
    if rest:
        there, gone = (sum(counts[at] for _, counts in rest) for at in (0, 1))
        bars.append((f"{len(rest):,} others ({there:,})", gone / there))
    return bars


def bar_chart(chart: Chart) -> str:
    """Return bars that lie, with their names on the left and values on the right, as SVG."""
    if not chart.bars:
        return "<p>There are none.</p>"
    most = 1.0 if chart.unit == "%" else max(value for _, value in chart.bars)
    height = _ROW * len(chart.bars) + 4
    width = _NAMES + _BARS + _VALUES
    parts = [f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">']
    for at, (name, value) in enumerate(chart.bars):
        top = _ROW * at + 2
        long = _BARS * value / most if most else 0.0
        said = f"{value:.1%}" if chart.unit == "%" else f"{value:,.0f}"
        parts.append(
            f'<text x="{_NAMES - 8}" y="{top + 15}" text-anchor="end">{escape(_short(name))}</text>'
            f'<rect x="{_NAMES}" y="{top + 2}" width="{max(long, 1):.1f}" height="{_ROW - 6}" fill="#4a78b5"/>'
            f'<text x="{_NAMES + max(long, 1) + 6:.1f}" y="{top + 15}">{said}</text>'
        )
    return "".join([*parts, "</svg>"])


def _largest(findings: Findings) -> str:
    if not findings.largest:
        return ""
    return "<h2>Largest groups</h2>" + "".join(_group(group, findings.samples_of(group)) for group in findings.largest)


def _group(group: Group, samples: Sequence[tuple[Any, str, str]]) -> str:
    parts = [f"<h3>{group.size:,} documents</h3>"]
    for at, (key, text, source) in enumerate(samples):
        word = "goes" if at else "stays"
        where = f" <span class='small'>{escape(_printable(source))}</span>" if source else ""
        shown = f"<pre class='{word}'>{escape(_printable(text))}</pre>" if text else ""
        parts.append(f"<div><code>{escape(_printable(str(key)))}</code> {word}{where}{shown}</div>")
    left = group.size - len(samples)
    return "".join(parts) + (f"<p class='small'>and {left:,} more</p>" if left > 0 else "")


def _short(name: str) -> str:
    name = _printable(name)
    return name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 1]}…"


def _printable(text: str) -> str:
    """Return text without control characters, which HTML does not allow."""
    return "".join(letter if letter in "\n\t" or (letter >= " " and letter != "\x7f") else "\ufffd" for letter in text)
