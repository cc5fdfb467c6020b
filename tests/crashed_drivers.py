"""What becomes of tests whose process dies under them: tried once more, and told in any case.

Ray ends a driver by `_exit(1)`: without a word if it uses the object store of a node that is gone, with one that pytest captures if its
cluster does not answer for a minute. Native threads of it that crash take the process with them. No test can see that, or say what it was. So
`make test` runs what needs Ray in a process of its own (``-n 1``), and the one that controls it hears of its death. A process whose cluster
is gone ends itself, as all that its tests could say is that they cannot connect.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.errors import ClusterError
from nemo_curator.utils.ray_connection import reach

_TAIL_BYTES = 4000


def said_by_cluster(config: pytest.Config) -> Path:
    """Return the file that the cluster of the tests writes to, the same in all processes of a session."""
    cache = config.cache
    assert cache is not None
    return cache.mkdir("ray") / "cluster.txt"


class CrashedDrivers:
    """A plugin for processes that run tests, and for the one that controls them.

    Attributes:
        cluster: Address of the cluster that the tests of this process are on, ``host:port``, if there is one.
    """

    name = "crashed-drivers"

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.cluster: str | None = None
        self.crashes: list[tuple[str, str]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[Any]) -> None:
        """End this process if a test has failed and its cluster is gone; there must be another that notices."""
        controlled = "PYTEST_XDIST_WORKER" in os.environ
        if controlled and call.excinfo is not None and self.cluster is not None and not _answers(self.cluster):
            os._exit(1)

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


def _answers(address: str) -> bool:
    try:
        reach(address)
    except ClusterError:
        return False
    return True
