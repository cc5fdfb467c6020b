"""What becomes of tests whose process dies under them: tried once more, and told in any case.

Ray ends a driver whose cluster does not answer for a minute by `_exit(1)`, and native threads of it that crash take the process with
them. No test can see that, or say what it was. So `make test` runs what needs Ray in a process of its own (``-n 1``), and the one that
controls it hears of its death.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

_TAIL_BYTES = 4000


def said_by_cluster(config: pytest.Config) -> Path:
    """Return the file that the cluster of the tests writes to, the same in all processes of a session."""
    cache = config.cache
    assert cache is not None
    return cache.mkdir("ray") / "cluster.txt"


class CrashedDrivers:
    """A plugin for the process that controls those that run tests."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.crashes: list[tuple[str, str]] = []

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Any) -> None:
        """Give a test whose process has died one more try."""
        again = all(crashitem != name for name, _ in self.crashes)
        self.crashes.append((crashitem, self._last_words()))
        if again:
            report.outcome = "rerun"  # type: ignore[assignment]
            sched.mark_test_pending(crashitem)

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """Name the outcome that pytest does not know."""
        return ("rerun", "R", "RERUN") if report.outcome == "rerun" else None

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Tell of every death, also where the second try went well."""
        for name, said in self.crashes:
            terminalreporter.write_sep("=", f"the process died that ran {name}", yellow=True)
            terminalreporter.write_line(f"The cluster of the tests had said:\n{said}")

    def _last_words(self) -> str:
        try:
            said = said_by_cluster(self.config).read_bytes()[-_TAIL_BYTES:]
        except OSError as error:
            return f"(nothing that could be read: {error})"
        return said.decode(errors="replace").strip()
