"""The driver is interrupted, at any moment: it ends soon, with the right code, and leaves nobody behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nemo_curator.testing import Journal

PROGRAM = """
import os, sys
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.testing import Journal, Number, numbers

journal, moment, number, mode = Journal(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
driver = os.getpid()

class Interrupting(ProcessingStage[Number, Number]):
    name = "interrupting"
    def process(self, task):
        journal.note("pid", os.getpid())
        if task.data == moment:
            os.kill(driver, number)
        if moment > 100 and task.data == 5:
            while True:
                pass
        return task

class After(ProcessingStage[Number, Number]):
    name = "after"
    batch_size = 3
    def process_batch(self, tasks):
        return tasks
    def process(self, task):
        return task

def endless():
    n = 0
    while True:
        if moment < 0 and n == -moment:
            os.kill(driver, number)
        yield Number("n", n)
        n += 1

journal.note("begin")
executor = LocalExecutor(mode=mode, num_workers=2, bundle_seconds=0.002)
Pipeline("p", stages=[Interrupting(), After()]).run(executor, initial_tasks=endless(), return_outputs=False)
"""


def _drive(tmp_path: Path, moment: int, number: int, mode: str = "processes") -> tuple[int, float, list[int]]:
    journal = Journal(tmp_path / "journal")
    script = tmp_path / "driver.py"
    script.write_text(PROGRAM)
    arguments = [sys.executable, str(script), str(journal.path), str(moment), str(number), mode]
    start = time.monotonic()
    done = subprocess.run(arguments, stderr=subprocess.DEVNULL, timeout=60, check=False)
    pids = sorted({int(line.split()[1]) for line in journal.lines() if line.startswith("pid")})
    return done.returncode, time.monotonic() - start, pids


def _gone(pids: list[int]) -> bool:
    processes = [psutil.Process(pid) for pid in pids if pid != os.getpid() and psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(processes, timeout=10)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


# In user code of a worker (0 and on), or in the driver while it takes its input (below 0).
MOMENTS = [0, 1, 7, 50, 400, 3000, -1, -2, -60, -1000]


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_ends_the_run_soon(tmp_path: Path, moment: int) -> None:
    code, seconds, pids = _drive(tmp_path, moment, signal.SIGINT)
    assert code in (130, -signal.SIGINT)
    assert seconds < 30
    assert _gone(pids)


@pytest.mark.parametrize("moment", [0, 50, -60])
def test_so_does_a_request_to_terminate(tmp_path: Path, moment: int) -> None:
    code, _, pids = _drive(tmp_path, moment, signal.SIGTERM)
    assert code == 143
    assert _gone(pids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("mode", ["threads", "inline"])
def test_in_every_mode(tmp_path: Path, number: signal.Signals, mode: str) -> None:
    code, _, _ = _drive(tmp_path, 50, number, mode)
    assert code in {signal.SIGINT: (130, -signal.SIGINT), signal.SIGTERM: (143,)}[number]


def test_a_driver_that_is_killed_takes_its_workers_along(tmp_path: Path) -> None:
    code, _, pids = _drive(tmp_path, 50, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert _gone(pids)


HANGING = """
import sys
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.testing import numbers
from nemo_curator.testing.faults import Deadly
Pipeline("p", stages=[Deadly({0: "hang_native"})]).run(LocalExecutor(num_workers=1), initial_tasks=numbers(4))
"""


def test_a_worker_that_hangs_does_not_keep_the_driver(tmp_path: Path) -> None:
    driver = subprocess.Popen([sys.executable, "-c", HANGING], stderr=subprocess.DEVNULL)
    me = psutil.Process(driver.pid)
    while not (workers := me.children()) or workers[0].cpu_times().user < 1.0:
        assert driver.poll() is None
        os.sched_yield()
    start = time.monotonic()
    driver.send_signal(signal.SIGINT)
    assert driver.wait(30) in (130, -signal.SIGINT)
    assert time.monotonic() - start < 15
    assert _gone([worker.pid for worker in workers])
