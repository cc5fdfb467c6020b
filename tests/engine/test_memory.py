"""What the kernel says about memory, GPUs and processes, read from real and pretended files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_curator.engine.machine import visible_gpus
from nemo_curator.engine.memory import oom_kills, private_bytes, process_state

linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")


@linux
def test_memory_of_its_own_is_seen_to_grow() -> None:
    before = private_bytes(os.getpid())
    held = bytearray(64 * 1024**2)
    held[:: os.sysconf("SC_PAGE_SIZE")] = b"x" * len(held[:: os.sysconf("SC_PAGE_SIZE")])
    after = private_bytes(os.getpid())
    assert before is not None
    assert after is not None
    assert 60 * 1024**2 < after - before < 90 * 1024**2


@linux
def test_a_stopped_process_is_seen_to_be() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        os.kill(child.pid, signal.SIGSTOP)
        os.waitpid(child.pid, os.WUNTRACED)
        assert process_state(child.pid) == "stopped"
    finally:
        child.kill()
        child.communicate()
    assert process_state(child.pid) == ""
    assert private_bytes(child.pid) is None


def _root(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 0),
        (
            {"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/memory.events": "low 0\noom 4\noom_kill 3\n"},
            3,
        ),
        (
            {
                "proc/self/cgroup": "7:memory:/job\n",
                "sys/fs/cgroup/memory/job/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
            },
            2,
        ),
    ],
)
def test_kills_by_the_kernel_are_counted(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    assert oom_kills(_root(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"CUDA_VISIBLE_DEVICES": "1,3"}, ("1", "3")),
        ({"CUDA_VISIBLE_DEVICES": "GPU-aa,-1,2"}, ("GPU-aa",)),
        ({"CUDA_VISIBLE_DEVICES": ""}, ()),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, ()),
        ({"SLURM_JOB_GPUS": "0,2-4"}, ("0", "2", "3", "4")),
        ({}, ("0", "1")),
    ],
)
def test_gpus_are_those_that_may_be_used(tmp_path: Path, environ: dict[str, str], expected: tuple[str, ...]) -> None:
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "proc/driver/nvidia/gpus" / name).mkdir(parents=True)
    assert visible_gpus(root=tmp_path, environ=environ) == expected


def test_no_driver_no_gpu(tmp_path: Path) -> None:
    assert visible_gpus(root=tmp_path, environ={}) == ()
