"""Nothing that a run started is left when it is over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import CuratorError
from nemo_curator.pipeline import Pipeline
from nemo_curator.testing import Journal, numbers
from nemo_curator.testing.conformance.outputs import Inflate, Shrink
from nemo_curator.testing.stages import Add, Journaling, Repeat, Scripted


def _state() -> dict[str, object]:
    shm = Path("/dev/shm")
    return {
        "children": [child.pid for child in psutil.Process().children(recursive=True)],
        "threads": [thread.name for thread in threading.enumerate()],
        "descriptors": len(os.listdir("/proc/self/fd")),
        "shared memory": sorted(path.name for path in shm.iterdir() if "curator" in path.name),
        "temporary files": sorted(os.listdir(tempfile.gettempdir())),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": list(sys.path),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
    }


def _run_once(number: int) -> None:
    mode = ("processes", "threads", "inline")[number % 3]
    stages = [Repeat(3), Inflate(), Shrink(), Add(1)]
    if number % 5 == 4:
        stages.append(Scripted({1: "raise"}))
    pipeline = Pipeline("leftovers", stages=list(stages))
    executor = LocalExecutor(mode=mode, num_workers=2, fuse=number % 2 == 0)
    try:
        pipeline.run(executor, initial_tasks=numbers([0, 1, 2]))
    except CuratorError:
        assert number % 5 == 4


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_fifty_runs_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    _run_once(0)  # imports and caches are not leftovers
    before = _state()
    for number in range(50):
        _run_once(number)
    assert _state() == before


def _driver(tmp_path: Path, journal: Journal) -> subprocess.Popen[bytes]:
    script = tmp_path / "driver.py"
    script.write_text(
        "import sys, threading\n"
        "from nemo_curator.backends.local import LocalExecutor\n"
        "from nemo_curator.pipeline import Pipeline\n"
        "from nemo_curator.stages.base import ProcessingStage\n"
        "from nemo_curator.testing import Journal, Number, numbers\n"
        "class Hang(ProcessingStage[Number, Number]):\n"
        "    name = 'hang'\n"
        "    def process(self, task):\n"
        "        import os\n"
        f"        Journal({str(journal.path)!r}).note('pid', os.getpid())\n"
        "        threading.Event().wait()\n"
        "Pipeline('p', stages=[Hang()]).run(LocalExecutor(num_workers=2), initial_tasks=numbers(4))\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    waiting = threading.Event()
    for _ in range(600):
        if journal.count("pid") == 2:
            break
        waiting.wait(0.05)
    assert journal.count("pid") == 2
    return process


@pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's parent-death signal")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_workers_end_with_their_driver(tmp_path: Path, how: signal.Signals) -> None:
    journal = Journal(tmp_path / "journal.txt")
    process = _driver(tmp_path, journal)
    pids = [int(line.split()[1]) for line in journal.lines()]
    workers = [psutil.Process(pid) for pid in pids]
    process.send_signal(how)
    assert process.wait(20) != 0
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []


def test_teardown_of_a_killed_worker_is_not_waited_for(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.txt")
    executor = LocalExecutor(num_workers=1, teardown_timeout_s=0.5)
    pipeline = Pipeline("slow", stages=[Journaling(journal), HangsInTeardown()])
    assert len(pipeline.run(executor, initial_tasks=numbers(2)) or []) == 2
    assert pipeline.last_report is not None
    assert any("was still busy after 0.5 s and was killed" in warning for warning in pipeline.last_report.warnings)


class HangsInTeardown(Add):
    """Never comes back from teardown."""

    def teardown(self) -> None:
        threading.Event().wait()
