"""`ClusterWiseFilePartitioningStage`: a task for every cluster."""

from __future__ import annotations

import re
from typing import Any

from nemo_curator.errors import InputError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import EmptyTask, FileGroupTask
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import has_extension, iter_files, local_path, path_exists

__all__ = ["ClusterWiseFilePartitioningStage"]

_CLUSTER = re.compile(r"/centroid=(\d+)/[^/]*$")


class ClusterWiseFilePartitioningStage(ProcessingStage[EmptyTask, FileGroupTask]):
    """List the folders ``centroid=<k>`` of a folder; each becomes a task with the Parquet files in it.

    ``_metadata`` of the task is ``{"centroid_id": k, "filetype": "parquet"}``.

    Args:
        input_path: The folder.
        storage_options: For the filesystem of a URL.
        name: Name of the stage.
    """

    is_source_stage = True

    def __init__(
        self,
        input_path: str,
        storage_options: dict[str, Any] | None = None,
        name: str = "cluster_wise_file_partitioning",
    ) -> None:
        self.input_path = input_path.rstrip("/") if is_remote_url(input_path) else local_path(input_path)
        self.storage_options = storage_options
        self.name = name

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a list of paths."""
        return ["data"], []

    def num_workers(self) -> int | None:
        """Return 1: there is one list."""
        return 1

    def check_before_run(self) -> None:
        """Raise `InputError` if there is no such folder."""
        if not path_exists(self.input_path, self.storage_options):
            message = f"stage {self.name!r}: {self.input_path}, with a folder for every cluster, is not there. Run k-means first"
            raise InputError(message)

    def process(self, task: EmptyTask) -> list[FileGroupTask]:
        """Return the tasks, in the order of clusters."""
        clusters: dict[int, list[str]] = {}
        for file in iter_files(self.input_path, storage_options=self.storage_options):
            found = _CLUSTER.search(file.path)
            if found and has_extension(file.path, [".parquet"]):
                clusters.setdefault(int(found[1]), []).append(file.path)
        return [
            FileGroupTask(
                "clusters", sorted(paths), _metadata={"centroid_id": cluster, "filetype": "parquet"}
            ).reached_with(self.storage_options)
            for cluster, paths in sorted(clusters.items())
        ]
