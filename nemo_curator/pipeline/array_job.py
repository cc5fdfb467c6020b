"""`ArrayJob`: this process is a task of a Slurm array, and runs its shard of a pipeline's sources."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Self

from nemo_curator.backends.failed_task_markers import (
    FAILED_TASKS_DIR_ENV_VAR,
    configure_slurm_array_failed_task_manifest_dir,
    record_failed_tasks,
)
from nemo_curator.backends.slurm_array import build_slurm_array_completion_manifest, resolve_slurm_array_config
from nemo_curator.core.slurm_shards import SlurmArrayConfig
from nemo_curator.engine.report import RunReport
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.retry_manifest import CompletionManifest

__all__ = ["ArrayJob"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ArrayJob:
    """What the environment says about the shard, and where it is noted when that is done.

    Attributes:
        config: The shard.
        checkpoint_path: The run's checkpoint, if it has one on a disk.
        manifest: Says that the shard is complete; `None` without such a checkpoint.
    """

    config: SlurmArrayConfig
    checkpoint_path: str | None
    manifest: CompletionManifest | None

    @classmethod
    def begin(cls, checkpoint_path: str | None) -> Self | None:
        """Return the job that the environment describes, and take back that its shard is complete; `None` if there is none.

        Raises:
            OptionError: The variables contradict each other, or the array of this checkpoint is divided otherwise.
        """
        config = resolve_slurm_array_config(is_source_stage=True)
        if config is None:
            return None
        if checkpoint_path is None or is_remote_url(checkpoint_path):
            _log.warning(
                "shard %d is run without a checkpoint on a disk, so nobody will be told whether it is complete",
                config.shard_index,
            )
            return cls(config, None, None)
        manifest = build_slurm_array_completion_manifest(checkpoint_path, config)
        manifest.withdraw()
        return cls(config, checkpoint_path, manifest)

    def end(self, report: RunReport) -> None:
        """Note that the shard is complete, or that tasks of it have failed."""
        if self.manifest is None or self.checkpoint_path is None:
            return
        if not report.failures:
            self.manifest.mark_completed()
            return
        before = os.environ.get(FAILED_TASKS_DIR_ENV_VAR)
        configure_slurm_array_failed_task_manifest_dir(self.checkpoint_path, self.config.shard_index)
        record_failed_tasks()
        if before is None:
            del os.environ[FAILED_TASKS_DIR_ENV_VAR]
        _log.warning(
            "shard %d is not marked complete: %d of its tasks failed", self.config.shard_index, len(report.failures)
        )
