"""A failed task leaves a marker where the attempt looks for it, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nemo_curator.backends.failed_task_markers import (
    FAILED_TASK_MANIFEST_FILENAME,
    FAILED_TASKS_DIR_ENV_VAR,
    configure_failed_task_manifest_dir,
    configure_slurm_array_failed_task_manifest_dir,
    failed_task_manifest_exists,
    record_failed_tasks,
)
from nemo_curator.errors import CheckpointError, OptionError

ROOT = Path(".nemo_curator_metadata", ".failed_tasks")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """What the code under test sets is gone after each test."""
    monkeypatch.setenv(FAILED_TASKS_DIR_ENV_VAR, "")


def test_names() -> None:
    assert FAILED_TASKS_DIR_ENV_VAR == "NEMO_CURATOR_FAILED_TASKS_DIR"
    assert FAILED_TASK_MANIFEST_FILENAME == "failed_tasks.json"


def test_nothing_is_recorded_where_nothing_is_configured(tmp_path: Path) -> None:
    record_failed_tasks()
    assert not failed_task_manifest_exists()
    assert not failed_task_manifest_exists(tmp_path)


def test_a_failure_is_found(tmp_path: Path) -> None:
    folder = configure_failed_task_manifest_dir(tmp_path)
    assert os.environ[FAILED_TASKS_DIR_ENV_VAR] == folder
    assert Path(folder).parent == tmp_path / ROOT
    assert Path(folder).name.startswith("local_attempt_")
    assert not failed_task_manifest_exists()
    record_failed_tasks()
    record_failed_tasks()
    assert failed_task_manifest_exists()
    assert failed_task_manifest_exists(folder)
    assert (Path(folder) / FAILED_TASK_MANIFEST_FILENAME).read_bytes() == b""


def test_the_marker_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / FAILED_TASK_MANIFEST_FILENAME
    marker.write_text("notes")
    os.utime(marker, (1, 1))
    monkeypatch.setenv(FAILED_TASKS_DIR_ENV_VAR, str(tmp_path))
    record_failed_tasks()
    assert marker.read_text() == "notes"
    assert marker.stat().st_mtime == 1


def test_many_record_at_once(tmp_path: Path) -> None:
    folder = configure_failed_task_manifest_dir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: record_failed_tasks(), range(64)))
    assert os.listdir(folder) == [FAILED_TASK_MANIFEST_FILENAME]


def test_processes_that_are_started_know_the_folder(tmp_path: Path) -> None:
    configure_failed_task_manifest_dir(tmp_path)
    code = "from nemo_curator.backends.failed_task_markers import record_failed_tasks; record_failed_tasks()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert failed_task_manifest_exists()


def test_every_attempt_has_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = configure_failed_task_manifest_dir(tmp_path)
    record_failed_tasks()
    assert configure_failed_task_manifest_dir(tmp_path / "other") == first
    assert configure_slurm_array_failed_task_manifest_dir(tmp_path / "other", 3) == first
    monkeypatch.delenv(FAILED_TASKS_DIR_ENV_VAR)
    assert configure_failed_task_manifest_dir(tmp_path) != first
    assert not failed_task_manifest_exists()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "slurm_job_local_PID/array_task_local/restart_0/shard_7"),
        (
            {"SLURM_JOB_ID": "11", "SLURM_ARRAY_TASK_ID": "5", "SLURM_RESTART_COUNT": "2"},
            "slurm_job_11/array_task_5/restart_2/shard_7",
        ),
        ({"SLURM_JOB_ID": "../1", "SLURM_RESTART_COUNT": ""}, "slurm_job_.._1/array_task_local/restart_0/shard_7"),
    ],
)
def test_a_shard_has_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    folder = configure_slurm_array_failed_task_manifest_dir(str(tmp_path), 7)
    assert Path(folder) == tmp_path / ROOT / expected.replace("PID", str(os.getpid()))
    assert os.environ[FAILED_TASKS_DIR_ENV_VAR] == folder
    record_failed_tasks()
    assert failed_task_manifest_exists()


def test_a_marker_that_cannot_be_left_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(FAILED_TASKS_DIR_ENV_VAR, str(tmp_path / "file" / "folder"))
    with pytest.raises(CheckpointError, match=r"tasks have failed, and .*failed_tasks\.json cannot be written"):
        record_failed_tasks()


def test_a_store_is_refused() -> None:
    with pytest.raises(OptionError, match="checkpoint s3://x is not on a disk"):
        configure_failed_task_manifest_dir("s3://x")
    assert os.environ[FAILED_TASKS_DIR_ENV_VAR] == ""
