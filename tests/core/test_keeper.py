from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from nemo_curator.core import cluster, keeper
from tests.core.processes import has_ended, wait_for

_SECONDS = 30.0
# A command that has a child in a session of its own, as Ray's workers nearly are, and tells both.
FAMILY = """
import os, subprocess, sys, time, signal
stubborn = sys.argv[2] == "stubborn"
if stubborn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""


def _family(path: Path) -> list[int]:
    wait_for(path.exists, timeout_s=_SECONDS)
    return [int(pid) for pid in path.read_text().split()]


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid)]


def _start(*command: str, folders: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    return cluster.start([sys.executable, "-c", *command], os.environ, output=None, folders=folders)


@pytest.mark.parametrize("manner", ["obedient", "stubborn"])
def test_nothing_is_left_after_end(tmp_path: Path, manner: str) -> None:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    process = _start(FAMILY, str(tmp_path / "pids"), manner, folders=(str(folder),))
    family = _family(tmp_path / "pids")
    assert _alive(family) == family
    cluster.end(process)
    assert _alive(family) == []
    assert not folder.exists()
    cluster.end(process)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_the_driver(tmp_path: Path, number: int) -> None:
    code = (
        "import os, sys, time; from nemo_curator.core import cluster;"
        "cluster.start(sys.argv[1:], os.environ, output=None); time.sleep(600)"
    )
    command = [sys.executable, "-c", FAMILY, str(tmp_path / "pids"), "obedient"]
    driver = subprocess.Popen([sys.executable, "-c", code, *command], stderr=subprocess.DEVNULL)
    family = _family(tmp_path / "pids")
    driver.send_signal(number)
    driver.wait()
    wait_for(lambda: not _alive(family), timeout_s=_SECONDS)


def test_a_thread_that_ends_takes_nothing_along(tmp_path: Path) -> None:
    # The kernel's own signal for this comes when a thread ends, not the process.
    code = """
import os, sys, threading
from nemo_curator.core import cluster
held = []
thread = threading.Thread(target=lambda: held.append(cluster.start(sys.argv[1:], os.environ, output=None)))
thread.start()
thread.join()
input()
print(held[0].poll())
cluster.end(held[0])
"""
    command = [sys.executable, "-c", FAMILY, str(tmp_path / "pids"), "obedient"]
    driver = subprocess.Popen(
        [sys.executable, "-c", code, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    family = _family(tmp_path / "pids")
    said, _ = driver.communicate("\n")
    assert said == "None\n"
    assert _alive(family) == []


def test_nothing_outlives_a_keeper_that_is_killed(tmp_path: Path) -> None:
    process = _start("import time; time.sleep(600)")
    wait_for(lambda: psutil.Process(process.pid).children(), timeout_s=_SECONDS)
    (child,) = psutil.Process(process.pid).children()
    wait_for(
        lambda: "time.sleep" in " ".join(child.cmdline()[:3]) and "keeper" not in " ".join(child.cmdline()),
        timeout_s=_SECONDS,
    )
    process.kill()
    process.wait()
    wait_for(lambda: has_ended(child), timeout_s=_SECONDS)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("pass", 0), ("import sys; sys.exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 128 + 9)],
)
def test_the_exit_code_is_that_of_the_command(code: str, expected: int) -> None:
    assert _start(code).wait() == expected


def test_a_command_that_is_not_there_is_code_127(tmp_path: Path) -> None:
    with (tmp_path / "said").open("w+b") as output:
        process = cluster.start(["/nowhere/ray"], os.environ, output=output)
        assert process.wait() == 127
        assert "cannot run /nowhere/ray: " in cluster.tail(output)


def test_a_keeper_whose_driver_is_gone_already_ends_at_once() -> None:
    command = [sys.executable, "-I", "-S", keeper.__file__, "1", "1", "--", "/bin/sleep", "600"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert result.returncode != 0


def test_the_tail_is_the_end_of_what_was_said(tmp_path: Path) -> None:
    path = tmp_path / "said"
    path.write_text("x" * 10_000 + "the end")
    assert cluster.tail(path).endswith("the end")
    assert len(cluster.tail(path)) < 5_000
    path.write_text("")
    assert cluster.tail(path) == "(it said nothing)"
    assert "cannot be read" in cluster.tail(tmp_path / "nothing")
