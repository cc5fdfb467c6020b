"""Markers that say that tasks of a run have failed, so that nobody takes its shard for complete.

A marker is an empty file in a folder of the attempt's own. All processes of an attempt know the folder by an environment variable: one of
them sets it before the work begins, the others inherit it, whoever sees a task fail leaves the marker, and the first looks for it at the end.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from nemo_curator.errors import CheckpointError
from nemo_curator.utils.retry_manifest import metadata_folder, safe_name

__all__ = [
    "FAILED_TASKS_DIR_ENV_VAR",
    "FAILED_TASK_MANIFEST_FILENAME",
    "configure_failed_task_manifest_dir",
    "configure_slurm_array_failed_task_manifest_dir",
    "failed_task_manifest_exists",
    "record_failed_tasks",
]

FAILED_TASKS_DIR_ENV_VAR = "NEMO_CURATOR_FAILED_TASKS_DIR"
FAILED_TASK_MANIFEST_FILENAME = "failed_tasks.json"
_FAILED_TASKS_DIRNAME = ".failed_tasks"


def record_failed_tasks() -> None:
    """Leave the marker. Any process of an attempt, as often as it likes; does nothing where no folder is configured.

    Raises:
        CheckpointError: The marker cannot be left, so the attempt would be taken for complete.
    """
    folder = os.environ.get(FAILED_TASKS_DIR_ENV_VAR)
    if not folder:
        return
    marker = Path(folder, FAILED_TASK_MANIFEST_FILENAME)
    try:
        if not marker.exists():
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
    except OSError as error:
        message = (
            f"tasks have failed, and {marker} cannot be written to say so: {error}. Make room or mend the disk, or set "
            f"{FAILED_TASKS_DIR_ENV_VAR} to another folder, and run again"
        )
        raise CheckpointError(message) from error


def failed_task_manifest_exists(dir: str | os.PathLike[str] | None = None) -> bool:
    """Say whether tasks have failed. Driver side, when the work has ended.

    Args:
        dir: The folder of the attempt; the configured one when not given. There is no marker where none is configured.
    """
    folder = os.environ.get(FAILED_TASKS_DIR_ENV_VAR) if dir is None else dir
    return bool(folder) and Path(folder, FAILED_TASK_MANIFEST_FILENAME).exists()


def configure_failed_task_manifest_dir(checkpoint_path: str | os.PathLike[str]) -> str:
    """Set the environment variable to a new folder in a checkpoint and return it. Driver side, before workers start.

    A variable that is set already stays, and its value is returned: whoever starts several runs may look after them together. To have
    a folder of its own for the next run of one process, remove the variable when a run has ended. The folder is made with the marker.

    Raises:
        OptionError: The checkpoint is not on a disk.
    """
    return _configure(checkpoint_path, f"local_attempt_{uuid.uuid4().hex}")


def configure_slurm_array_failed_task_manifest_dir(checkpoint_path: str | os.PathLike[str], shard: int) -> str:
    """Set the environment variable to the folder of this attempt of a shard and return it. On every node of it, before workers start.

    The nodes of a job come to the same folder, a job that Slurm has started again comes to a new one. Otherwise as
    `configure_failed_task_manifest_dir`.

    Args:
        checkpoint_path: A folder that all nodes see.
        shard: Index of the shard.

    Raises:
        OptionError: The checkpoint is not on a disk.
    """
    job = os.environ.get("SLURM_JOB_ID") or f"local_{os.getpid()}"
    task = os.environ.get("SLURM_ARRAY_TASK_ID") or "local"
    restart = os.environ.get("SLURM_RESTART_COUNT") or "0"
    names = [f"slurm_job_{job}", f"array_task_{task}", f"restart_{restart}", f"shard_{shard}"]
    return _configure(checkpoint_path, *(safe_name(name) for name in names))


def _configure(checkpoint_path: str | os.PathLike[str], *names: str) -> str:
    configured = os.environ.get(FAILED_TASKS_DIR_ENV_VAR)
    if configured:
        return configured
    folder = str(metadata_folder(checkpoint_path).joinpath(_FAILED_TASKS_DIRNAME, *names))
    os.environ[FAILED_TASKS_DIR_ENV_VAR] = folder
    return folder
