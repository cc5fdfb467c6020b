"""Tests whose process dies are tried once more, and told of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = """
from tests.crashed_drivers import CrashedDrivers, said_by_cluster

def pytest_configure(config):
    config.pluginmanager.register(CrashedDrivers(config))
    said_by_cluster(config).write_text("the raylet is gone")
"""
TESTS = """
import os
from pathlib import Path

def test_before():
    pass

def test_dies():
    with Path("tries").open("a") as tries:
        tries.write("x")
    if os.path.getsize("tries") <= int(os.environ["DEATHS"]):
        os._exit(1)

def test_after():
    pass
"""


@pytest.mark.parametrize(
    ("deaths", "status", "outcome"),
    [(0, 0, "3 passed"), (1, 0, "3 passed, 1 rerun"), (2, 1, "1 failed, 2 passed, 1 rerun")],
)
def test_a_test_whose_process_dies_is_tried_once_more(tmp_path: Path, deaths: int, status: int, outcome: str) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    root = Path(__file__).parent.parent
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "1", "--rootdir", "."],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "DEATHS": str(deaths), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in ran.stdout
    assert ran.returncode == status
    assert ran.stdout.count("the process died that ran test_it.py::test_dies") == deaths
    assert ran.stdout.count("the raylet is gone") == deaths
