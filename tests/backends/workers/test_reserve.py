"""Processes that runs in a row share, and the reserve in which they wait in between."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.workers.interpreter import Interpreter, Reserve
from nemo_curator.engine.memory import private_bytes
from nemo_curator.errors import StageFailed
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.testing import Number


class Signing(ProcessingStage[Number, Number]):
    """Writes into a folder which process has set it up, and who was torn down there."""

    name = "signing"

    def __init__(self, folder: Path, run: str) -> None:
        self.folder = folder
        self.run = run

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        (self.folder / f"{self.run}-setup-{os.getpid()}").touch()

    def process(self, task: Number) -> Number:
        if task.data < 0:
            message = "negative"
            raise ValueError(message)
        return task

    def teardown(self) -> None:
        (self.folder / f"{self.run}-teardown-{os.getpid()}").touch()


class Growing(Signing):
    """Leaves in its process what nobody frees."""

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        super().setup(worker_metadata)
        os.__dict__["_left_behind"] = b"1" * (300 << 20)


def _run(executor: LocalExecutor, folder: Path, run: str, *, number: int = 0, **changes: Any) -> int:
    """Run a pipeline; return the id of the one process that had it."""
    stage = Signing(folder, run).with_(**changes) if changes else Signing(folder, run)
    Pipeline("signed", stages=[stage]).run(executor, [Number("n", number)])
    return _process_of(folder, run)


def _process_of(folder: Path, run: str) -> int:
    (setup,) = folder.glob(f"{run}-setup-*")
    (teardown,) = folder.glob(f"{run}-teardown-*")
    assert setup.name.rsplit("-", 1)[1] == teardown.name.rsplit("-", 1)[1]
    return int(setup.name.rsplit("-", 1)[1])


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def executor() -> LocalExecutor:
    return LocalExecutor(num_workers=1)


def test_runs_in_a_block_share_a_process_and_set_up_and_tear_down_each(executor: LocalExecutor, tmp_path: Path) -> None:
    with executor.keeping_workers():
        first, second = (_run(executor, tmp_path, run) for run in ("first", "second"))
        assert first == second
        assert _lives(first)
    assert not _lives(first)


def test_runs_without_a_block_have_processes_of_their_own(executor: LocalExecutor, tmp_path: Path) -> None:
    first = _run(executor, tmp_path, "first")
    assert not _lives(first)
    assert _run(executor, tmp_path, "second") != first


def test_a_block_in_a_block_ends_nothing(executor: LocalExecutor, tmp_path: Path) -> None:
    with executor.keeping_workers():
        with executor.keeping_workers():
            first = _run(executor, tmp_path, "first")
        assert _run(executor, tmp_path, "second") == first


def test_processes_end_with_a_block_that_raises(executor: LocalExecutor, tmp_path: Path) -> None:
    def fail_in_a_block() -> None:
        with executor.keeping_workers():
            _run(executor, tmp_path, "first")
            _run(executor, tmp_path, "second", number=-1)

    with pytest.raises(StageFailed):
        fail_in_a_block()
    first = _process_of(tmp_path, "first")
    assert _process_of(tmp_path, "second") == first
    assert not _lives(first)


def test_a_process_that_died_in_between_is_replaced(executor: LocalExecutor, tmp_path: Path) -> None:
    with executor.keeping_workers():
        first = _run(executor, tmp_path, "first")
        os.kill(first, signal.SIGKILL)
        assert _run(executor, tmp_path, "second") != first


@pytest.mark.skipif(private_bytes(os.getpid()) is None, reason="this system does not tell what memory a process has")
def test_a_process_that_has_grown_is_not_kept(executor: LocalExecutor, tmp_path: Path) -> None:
    with executor.keeping_workers():
        Pipeline("growing", stages=[Growing(tmp_path, "first")]).run(executor, [Number("n", 0)])
        assert _run(executor, tmp_path, "second") != _process_of(tmp_path, "first")


@pytest.mark.parametrize(
    "changes",
    [{"runtime_env": {"env_vars": {"SIGNED": "1"}}}, {"resources": Resources(cpus=2.0)}],
    ids=["variables", "threads"],
)
def test_a_worker_of_another_environment_gets_another_process(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    executor = LocalExecutor(num_workers=1, cpus=2.0)
    with executor.keeping_workers():
        first = _run(executor, tmp_path, "first")
        assert _run(executor, tmp_path, "other", **changes) != first
        assert _run(executor, tmp_path, "again") == first


@pytest.mark.parametrize("mode", ["threads", "inline"])
def test_modes_without_processes_have_none_to_keep(mode: str, tmp_path: Path) -> None:
    executor = LocalExecutor(mode=mode, num_workers=1)
    with executor.keeping_workers():
        assert _run(executor, tmp_path, "first") == os.getpid()


def test_the_first_process_brings_others_along_that_end_with_the_reserve() -> None:
    with Reserve(ahead=2) as reserve:
        first = reserve.provide(os.environ, sys.path)
        second, third = (reserve.take(os.environ, sys.path) for _ in range(2))
        assert second is not None
        assert third is not None
        assert len({first.process.pid, second.process.pid, third.process.pid}) == 3
        assert reserve.take(os.environ, sys.path) is None
        # Those that come later come alone.
        fourth = reserve.provide(os.environ, sys.path)
        assert reserve.take(os.environ, sys.path) is None
        for one in (first, second, third):
            reserve.keep(one)
        assert reserve.provide(os.environ, sys.path) is first
    first.kill()
    fourth.kill()
    assert [one.process.returncode for one in (second, third)] == [-signal.SIGKILL] * 2


def test_a_reserve_that_is_closed_takes_nothing_more() -> None:
    with Reserve() as reserve:
        interpreter = Interpreter(os.environ, [])
        reserve.keep(interpreter)
        assert reserve.private_bytes() > 0
        assert reserve.take({}, []) is None
        assert reserve.take(dict(os.environ), []) is interpreter
    reserve.keep(interpreter)
    assert interpreter.process.returncode == -signal.SIGKILL
