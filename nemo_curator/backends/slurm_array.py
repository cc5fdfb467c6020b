"""Slurm arrays: every task of an array takes its shard of the sources, and what is not complete afterwards is submitted again.

A shard is taken from the environment, once a run, on the driver. Which shards are complete stands in the checkpoint, in
``.nemo_curator_metadata/.slurm_array_completion``: ``run.json`` says how the sources were divided, and a file a shard that it is complete.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from nemo_curator.core.slurm_retries import (
    SlurmArrayRetryPlan,
    SlurmArrayRetrySubmission,
    build_slurm_array_retry_submissions,
    format_slurm_array_indices,
)
from nemo_curator.core.slurm_shards import ENABLED, INDEX, MINIMUM, TOTAL, SlurmArrayConfig, only_slurm_asks
from nemo_curator.engine.sources import shard_of
from nemo_curator.errors import CheckpointError, DataError, OptionError
from nemo_curator.tasks import Task
from nemo_curator.utils.atomic_io import write_json_atomically_if_absent
from nemo_curator.utils.retry_manifest import CompletionManifest, metadata_folder, read_completion_manifests

__all__ = [
    "SlurmArrayConfig",
    "SlurmArrayRetryPlan",
    "SlurmArrayRetrySubmission",
    "build_slurm_array_completion_manifest",
    "build_slurm_array_retry_submissions",
    "configure_slurm_array_source_filtering",
    "filter_slurm_array_source_tasks",
    "find_slurm_array_retries",
    "format_slurm_array_indices",
    "is_slurm_array_driver_process",
    "read_slurm_array_run",
    "resolve_slurm_array_config",
    "slurm_array_shard_for_task",
]

_log = logging.getLogger(__name__)

T = TypeVar("T", bound=Task[Any])

_NAMESPACE = "slurm_array"
_RUN_FILENAME = "run.json"


def resolve_slurm_array_config(is_source_stage: bool) -> SlurmArrayConfig | None:
    """Return what the environment says about a source stage's shard; `None` for other stages, which take all that comes.

    Driver side, once a run. Warns when the shard gets nothing, and when only Slurm's own variables ask for a shard: an array may have been
    meant for something else.

    Raises:
        OptionError: As `SlurmArrayConfig.from_env`.
    """
    config = SlurmArrayConfig.from_env() if is_source_stage else None
    if config is None:
        return None
    if only_slurm_asks(os.environ):
        _log.warning(
            "this is a task of a Slurm array, so the run takes shard %d of the %d from %d and leaves the other sources to the other tasks; "
            "set %s=1 if that is meant, or 0 to take all sources",
            config.shard_index,
            config.total_shards,
            config.minimum_shard_index,
            ENABLED,
        )
    _warn_if_outside(config, "the source stage")
    return config


def configure_slurm_array_source_filtering(
    shard_index: int, total_shards: int, minimum_shard_index: int = 0
) -> SlurmArrayConfig:
    """Set the environment variables that `SlurmArrayConfig.from_env` reads, for this process and those that it starts; return what they say.

    Raises:
        OptionError: As `SlurmArrayConfig`; then nothing is set.
    """
    config = SlurmArrayConfig(shard_index, total_shards, minimum_shard_index)
    values = {ENABLED: 1, INDEX: shard_index, TOTAL: total_shards, MINIMUM: minimum_shard_index}
    os.environ.update({name: str(value) for name, value in values.items()})
    return config


def slurm_array_shard_for_task(task_id: str, total_shards: int, minimum_shard_index: int = 0) -> int:
    """Return the index of the shard that a source belongs to; the same on every machine and in every run.

    Raises:
        OptionError: The id is empty or random (it begins with ``r``), or a number is as `SlurmArrayConfig` does not take it.
    """
    config = SlurmArrayConfig(0, total_shards, minimum_shard_index)
    if not task_id or task_id.startswith("r"):
        message = (
            f"task id {task_id!r} is {'random' if task_id else 'empty'}, so no two tasks of an array would agree on its shard; "
            "divide the sources by ids that are the same in every run"
        )
        raise OptionError(message)
    return shard_of(task_id, config.total_shards) + config.minimum_shard_index


def filter_slurm_array_source_tasks(tasks: Iterable[T], config: SlurmArrayConfig | None, stage_name: str) -> list[T]:
    """Return those of a source stage's tasks that belong to the shard, in their order; all of them when `config` is `None`.

    For those who run a source stage by themselves; in a pipeline the engine does this. Warns when there is no such shard.

    Args:
        tasks: Tasks that have their ids.
        config: The shard.
        stage_name: The stage that made them, for messages.

    Raises:
        OptionError: The shard of a task cannot be told, see `slurm_array_shard_for_task`.
    """
    if config is None:
        return list(tasks)
    if not config.is_in_range:
        _warn_if_outside(config, f"stage {stage_name!r}")
        return []
    try:
        return [
            task
            for task in tasks
            if slurm_array_shard_for_task(task.task_id, config.total_shards, config.minimum_shard_index)
            == config.shard_index
        ]
    except OptionError as error:
        message = f"stage {stage_name!r}: {error}"
        raise OptionError(message) from None


def is_slurm_array_driver_process() -> bool:
    """Say whether this process is on the first node of its job (`SLURM_NODEID` is 0 or not set), which writes down what is complete."""
    return os.environ.get("SLURM_NODEID", "").strip() in {"", "0"}


def build_slurm_array_completion_manifest(
    checkpoint_path: str | os.PathLike[str], config: SlurmArrayConfig
) -> CompletionManifest:
    """Return the manifest by which a shard is marked complete. Call it before the work begins, and mark it when all went well.

    The first driver of an array writes down how the sources are divided; the others find out here if they divide them differently.
    On other nodes than the first, and for a shard that does not exist, the manifest is disabled and nothing is written.

    Args:
        checkpoint_path: A folder that all tasks of the array see.
        config: The shard.

    Raises:
        OptionError: The array of this checkpoint was divided differently, or it is not on a disk. A `ValueError`.
        DataError: ``run.json`` in the checkpoint is damaged. A `ValueError`.
        CheckpointError: ``run.json`` cannot be written.
    """
    division = {"total_shards": config.total_shards, "minimum_shard_index": config.minimum_shard_index}
    if is_slurm_array_driver_process():
        _agree(checkpoint_path, division)
    identity = {"shard_index": config.shard_index, **division}
    enabled = is_slurm_array_driver_process() and config.is_in_range
    return CompletionManifest(checkpoint_path, _NAMESPACE, identity, enabled=enabled)


def read_slurm_array_run(checkpoint_path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return the number of shards and the index of the first, as the array of a checkpoint has them; `None` if no array has begun there.

    Raises:
        DataError: ``run.json`` is damaged. A `ValueError`.
        OptionError: The checkpoint is not on a disk.
    """
    path = _run_file(checkpoint_path)
    try:
        run: Any = json.loads(path.read_text(encoding="utf-8"))
        config = SlurmArrayConfig(0, run["total_shards"], run["minimum_shard_index"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        message = (
            f"{path} cannot be read: {error}. It should say into how many shards an array's sources are divided; write "
            '{"minimum_shard_index": 0, "total_shards": N} into it with the numbers of that array, or choose another checkpoint path'
        )
        raise DataError(message) from error
    return config.total_shards, config.minimum_shard_index


def find_slurm_array_retries(checkpoint_path: str | os.PathLike[str]) -> SlurmArrayRetryPlan | None:
    """Return the shards that no run has marked complete; `None` when all are, or when no array has begun there.

    `read_slurm_array_run` tells the two apart. A shard that is running is not complete. Nothing is written.

    Raises:
        DataError: A file in the checkpoint is damaged. A `ValueError`.
        TypeError: A manifest in the checkpoint has another shape.
        OptionError: The checkpoint is not on a disk.
    """
    run = read_slurm_array_run(checkpoint_path)
    if run is None:
        return None
    total, minimum = run
    complete: set[int] = set()
    for record in read_completion_manifests(checkpoint_path, namespace=_NAMESPACE):
        shard, *division = (record.payload.get(key) for key in ("shard_index", "total_shards", "minimum_shard_index"))
        if type(shard) is int and division == [total, minimum]:
            complete.add(shard)
        else:
            _log.warning(
                "%s belongs to another array than the one in %s and counts for nothing", record.path, _RUN_FILENAME
            )
    missing = tuple(shard for shard in range(minimum, minimum + total) if shard not in complete)
    return SlurmArrayRetryPlan(missing, total, minimum) if missing else None


def _agree(checkpoint_path: str | os.PathLike[str], division: dict[str, int]) -> None:
    path = _run_file(checkpoint_path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json_atomically_if_absent(path, division)
    except OSError as error:
        message = f"{path} cannot be written: {error}. Make room or mend the disk, and run again"
        raise CheckpointError(message) from error
    run = read_slurm_array_run(checkpoint_path)
    asked = division["total_shards"], division["minimum_shard_index"]
    if run != asked:
        total, minimum = run or (0, 0)
        message = (
            f"the array of this checkpoint divides its sources into {total} shards from {minimum} ({path}), and this run into {asked[0]} from "
            f"{asked[1]}: some sources would be nobody's. Set {TOTAL}={total} and {MINIMUM}={minimum} to go on with that array, or choose "
            "another checkpoint path"
        )
        raise OptionError(message)


def _run_file(checkpoint_path: str | os.PathLike[str]) -> Path:
    return metadata_folder(checkpoint_path) / f".{_NAMESPACE}_completion" / _RUN_FILENAME


def _warn_if_outside(config: SlurmArrayConfig, who: str) -> None:
    if not config.is_in_range:
        last = config.minimum_shard_index + config.total_shards - 1
        _log.warning(
            "%s gets no sources: there is no shard %d, only %d to %d",
            who,
            config.shard_index,
            config.minimum_shard_index,
            last,
        )
