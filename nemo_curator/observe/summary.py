"""A finished run as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.engine.metrics import StageCounts
from nemo_curator.engine.report import RunReport

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["summary_table"]


def summary_table(report: RunReport, *, items: str = "items") -> Table:
    """Return a table with a row a stage: what came in, what went out, what was dropped and why, and how long it took.

    Args:
        report: Of the run.
        items: What the tasks hold, for the headings: ``"documents"``.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    title = f"{report.pipeline} on {report.backend}: {report.status} in {report.seconds:.1f} s"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    table.add_column("stage", no_wrap=True)
    for heading in ("in", "out"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("dropped, by reason")
    for heading in ("seconds", "per s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in report.stages:
        counts = stage.counts
        rate = f"{counts.items_in / counts.seconds:,.0f}" if counts.seconds and counts.items_in else ""
        table.add_row(
            stage.name, f"{counts.items_in:,}", f"{counts.items_out:,}", _reasons(counts), f"{counts.seconds:.2f}", rate
        )
    table.caption = f"Counted in {items}. {_caption(report)}"
    table.caption_justify = "left"
    return table


def _reasons(counts: StageCounts) -> str:
    parts = [f"{reason} {count:,}" for reason, count in _most_first(counts.items_dropped)]
    parts += [f"{reason} {count:,} tasks" for reason, count in _most_first(counts.tasks_dropped)]
    if counts.tasks_failed or counts.children_failed:
        parts.append(f"failed {counts.tasks_failed + counts.children_failed:,} tasks")
    return ", ".join(parts)


def _most_first(reasons: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(reasons.items(), key=lambda pair: -pair[1])


def _caption(report: RunReport) -> str:
    said = [
        f"{report.tasks_delivered:,} tasks delivered; {report.sources_completed:,} sources complete, {report.sources_failed:,} failed.",
        "Seconds are inside the stage, over all workers.",
        *report.warnings,
    ]
    return " ".join(said)
