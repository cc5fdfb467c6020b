"""One run at a time has a checkpoint."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.engine.lease import Lease
from nemo_curator.errors import CheckpointError
from nemo_curator.utils.file_listing import resolve_url

BEAT = 0.05
HOLDER = """
import sys
from nemo_curator.engine.lease import Lease
from nemo_curator.utils.file_listing import resolve_url
fs, folder = resolve_url(sys.argv[1])
Lease(fs, folder, sys.argv[1]).take()
print("taken", flush=True)
sys.stdin.read()
"""


def _lease(folder: Path, shard: tuple[int, int] | None = None, beat_s: float = BEAT) -> Lease:
    fs, inner = resolve_url(str(folder))
    return Lease(fs, inner, str(folder), shard=shard, beat_s=beat_s)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("running-*.json"))


def test_who_comes_second_is_refused_until_the_first_has_left(tmp_path: Path) -> None:
    first, second = _lease(tmp_path), _lease(tmp_path)
    first.take()
    with pytest.raises(CheckpointError, match=r"in use by another run \(process \d+ on .*\); wait for its end, or"):
        second.take()
    assert len(_files(tmp_path)) == 1
    first.release()
    second.take()
    second.release()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    arguments: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], **arguments) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(CheckpointError, match=f"process {holder.pid} on"):
        _lease(tmp_path).take()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lease = _lease(tmp_path)
    lease.take()
    assert len(_files(tmp_path)) == 1
    lease.release()


def _from_elsewhere(folder: Path, beat: int) -> Path:
    owner = {"host": "elsewhere", "boot": "b", "space": "s", "pid": 1, "born": "1", "shard": None, "beat": beat}
    file = folder / "running-00.json"
    part = folder / ".part"
    part.write_text(json.dumps(owner))
    part.rename(file)
    return file


def test_a_run_on_another_machine_is_watched(tmp_path: Path) -> None:
    file = _from_elsewhere(tmp_path, 7)
    lease = _lease(tmp_path)
    lease.take()
    assert not file.exists()
    lease.release()


def test_a_run_on_another_machine_that_goes_on_keeps_it(tmp_path: Path) -> None:
    over = threading.Event()

    def beat() -> None:
        number = 1
        while not over.wait(BEAT / 4):
            number += 1
            _from_elsewhere(tmp_path, number)

    _from_elsewhere(tmp_path, 1)
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(CheckpointError, match="process 1 on elsewhere"):
            _lease(tmp_path, beat_s=5.0).take()
    finally:
        over.set()
        thread.join()


def test_shards_share_a_folder(tmp_path: Path) -> None:
    one, other = _lease(tmp_path, (0, 2)), _lease(tmp_path, (1, 2))
    one.take()
    other.take()
    for shard in [(0, 2), (1, 3), None]:
        with pytest.raises(CheckpointError, match="in use"):
            _lease(tmp_path, shard).take()
    one.release()
    other.release()


def test_of_many_at_once_one_stays(tmp_path: Path) -> None:
    barrier = threading.Barrier(6)
    leases = [_lease(tmp_path) for _ in range(6)]
    taken: list[Lease] = []

    def run(lease: Lease) -> None:
        barrier.wait()
        try:
            lease.take()
        except CheckpointError:
            return
        taken.append(lease)

    threads = [threading.Thread(target=run, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) <= 1
    for lease in taken:
        lease.release()


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "running-00.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"running-00.json in checkpoint .* is damaged"):
        _lease(tmp_path).take()
    assert len(_files(tmp_path)) == 1


def test_a_held_lease_beats(tmp_path: Path) -> None:
    lease = _lease(tmp_path)
    lease.take()
    (file,) = _files(tmp_path)
    seen: set[int] = set()
    while len(seen) < 3:
        seen.add(json.loads(file.read_text())["beat"])
        threading.Event().wait(BEAT / 5)
    lease.release()
    assert _files(tmp_path) == []
