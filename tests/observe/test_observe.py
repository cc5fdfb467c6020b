"""Progress and the table of a run."""

from __future__ import annotations

import io

from rich.console import Console

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.engine.report import RunReport
from nemo_curator.observe import ProgressBars, summary_table
from nemo_curator.pipeline import Pipeline
from nemo_curator.testing import numbers
from nemo_curator.testing.conformance.drops import Sieve
from nemo_curator.testing.stages import Add, Repeat, Scripted


def _run(console: Console) -> RunReport:
    pipeline = Pipeline("watched", stages=[Repeat(3), Scripted({21: "drop:dull", 20: "fail"}), Sieve(), Add(1)])
    executor = LocalExecutor(mode="inline", on_error="quarantine", bundle_seconds=1e-6)
    with ProgressBars(console) as progress:
        pipeline.run(executor, numbers(40), observers=[progress])
    assert pipeline.last_report is not None
    return pipeline.last_report


def _console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=terminal, width=120, color_system=None, legacy_windows=False), text


def test_a_terminal_sees_a_table_that_is_taken_away_at_the_end() -> None:
    console, text = _console(terminal=True)
    _run(console)
    assert "watched on local" in text.getvalue()
    assert "scripted" in text.getvalue()


def test_a_log_is_left_in_peace_by_a_short_run() -> None:
    console, text = _console(terminal=False)
    _run(console)
    assert text.getvalue() == ""


def test_the_summary_counts_and_gives_reasons() -> None:
    console, text = _console(terminal=False)
    report = _run(console)
    console.print(summary_table(report, items="numbers"))
    shown = text.getvalue()
    assert "watched on local: completed" in shown
    assert "dull 1 tasks" in shown
    assert "failed 1 tasks" in shown
    assert "Counted in numbers" in shown
    assert [
        line.split()[0]
        for line in shown.splitlines()
        if line.strip().startswith(("repeat", "scripted", "sieve", "add"))
    ] == [
        "repeat",
        "scripted",
        "sieve",
        "add",
    ]


def test_a_report_is_plain_data() -> None:
    console, _ = _console(terminal=False)
    plain = _run(console).to_dict()
    assert plain["stages"][1]["counts"]["tasks_dropped"] == {"dull": 1}
    assert plain["failures"][0]["stage"] == "scripted"
    assert "pickled" not in plain["failures"][0]
