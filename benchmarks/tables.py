"""Results as tables: for a terminal, for Markdown, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks.harness import CaseResult, Spread

__all__ = ["as_json", "as_markdown", "as_text"]

Rows = list[list[str]]


def as_text(result: CaseResult) -> str:
    """Return a case as an aligned table."""
    rows = _rows(result)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([result.case.title, *lines, *_remarks(result)])


def as_markdown(result: CaseResult) -> str:
    """Return a case as a Markdown table."""
    head, *body = [f"| {' | '.join(row)} |" for row in _rows(result)]
    rule = "|" + "---|" * (head.count("|") - 1)
    remarks = [f"\n{remark}" for remark in _remarks(result)]
    return "\n".join([f"**{result.case.title}**", "", head, rule, *body, *remarks])


def as_json(result: CaseResult) -> dict[str, Any]:
    """Return a case as plain data: every single run, and the ratios."""
    return {
        "title": result.case.title,
        "reference": result.reference,
        "runs": {name: [asdict(sample) for sample in runs] for name, runs in result.samples.items()},
        "ratios": {name: asdict(result.ratio(name)) for name in result.samples},
        "absent": result.absent,
        "differences": result.differences,
    }


def _rows(result: CaseResult) -> Rows:
    columns = result.case.columns
    rounds = len(result.samples[result.reference]) if result.samples else 0
    rows = [["", "wall s (min..max)", "CPU s", "driver MB", "tree MB", *(column.title for column in columns), "ratio"]]
    for name in result.samples:
        cells = [
            _spread(result.spread(name, lambda sample: sample.wall), 3),
            f"{result.median(name, lambda sample: sample.cpu):.2f}",
            _megabytes(result.median(name, lambda sample: sample.driver_mb)),
            _megabytes(result.median(name, lambda sample: sample.tree_mb)),
            *(_spread(result.spread(name, column.value), column.digits) for column in columns),
            "reference" if name == result.reference else _spread(result.ratio(name), 2),
        ]
        rows.append([name, *cells])
    rows[0][0] = f"median of {rounds}"
    return rows


def _remarks(result: CaseResult) -> list[str]:
    absent = [f"{name}: {why}" for name, why in result.absent.items()]
    return absent + [f"NOT COMPARABLE: {sentence}" for sentence in result.differences]


def _megabytes(amount: float) -> str:
    return f"{amount:.0f}" if amount else "-"


def _spread(spread: Spread, digits: int) -> str:
    return f"{spread.median:.{digits}f} ({spread.low:.{digits}f}..{spread.high:.{digits}f})"
