"""Tests whose process dies are tried once more, and told of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = """
import socket
import pytest
from tests.crashed_drivers import CrashedDrivers, said_by_cluster

def pytest_configure(config):
    config.pluginmanager.register(CrashedDrivers(config), CrashedDrivers.name)
    said_by_cluster(config).write_text("the raylet is gone")

@pytest.fixture(scope="session")
def cluster(pytestconfig):
    with socket.create_server(("127.0.0.1", 0)) as server:
        pytestconfig.pluginmanager.get_plugin(CrashedDrivers.name).cluster = "127.0.0.1:%d" % server.getsockname()[1]
        yield server
"""
TESTS = """
import os
from pathlib import Path

def test_before(cluster):
    pass

def test_dies(cluster):
    with Path("tries").open("a") as tries:
        tries.write("x")
    if os.path.getsize("tries") <= int(os.environ["DEATHS"]):
        DIE

def test_after(cluster):
    pass
"""
DEATHS = {"the process ends": "os._exit(1)", "its cluster is gone": "cluster.close(); assert False"}


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize(
    ("deaths", "status", "outcome"),
    [(0, 0, "3 passed"), (1, 0, "3 passed, 1 rerun"), (2, 1, "1 failed, 2 passed, 1 rerun")],
)
def test_a_test_whose_process_dies_is_tried_once_more(
    tmp_path: Path, death: str, deaths: int, status: int, outcome: str
) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS.replace("DIE", DEATHS[death]))
    ran = _run(tmp_path, "-n", "1", deaths=deaths)
    assert outcome in ran.stdout
    assert ran.returncode == status
    assert ran.stdout.count("the process died that ran test_it.py::test_dies") == deaths
    assert ran.stdout.count("the raylet is gone") == deaths


def test_a_failure_is_a_failure_where_nobody_would_notice_a_death_or_the_cluster_answers(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for die, arguments in ((DEATHS["its cluster is gone"], ()), ("assert False", ("-n", "1"))):
        (tmp_path / "test_it.py").write_text(TESTS.replace("DIE", die))
        (tmp_path / "tries").unlink(missing_ok=True)
        ran = _run(tmp_path, *arguments, deaths=1)
        assert "1 failed, 2 passed" in ran.stdout
        assert ran.returncode == 1


def _run(folder: Path, *arguments: str, deaths: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments, "--rootdir", "."],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parent.parent), "DEATHS": str(deaths), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
