"""`ImageDuplicatesRemovalStage`: leaves out the images that a deduplication has named."""

from __future__ import annotations

import logging
from typing import Any

from nemo_curator.errors import DataError, InputError, require
from nemo_curator.models.loaded import loaded
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import ImageBatch
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import has_extension, iter_files, local_path, resolve_url

__all__ = ["ImageDuplicatesRemovalStage"]

_log = logging.getLogger(__name__)


class ImageDuplicatesRemovalStage(ProcessingStage[ImageBatch, ImageBatch]):
    """Leaves out images whose ``image_id`` is in a folder of Parquet files. They are counted as ``duplicate``.

    Every worker holds all ids to remove: about 100 bytes each. Images must be read as they were when duplicates were found, as
    ids are given by the reader.

    Args:
        removal_parquets_dir: The folder, or a URL.
        duplicate_id_field: Column of the ids.
        verbose: Log a line for every task.
        num_workers_per_node: How many workers of a node hold the ids; as many as help by default.
        name: Name of the stage.
        storage_options: For the filesystem of a URL.
    """

    def __init__(
        self,
        removal_parquets_dir: str,
        duplicate_id_field: str = "id",
        verbose: bool = False,
        num_workers_per_node: float | None = None,
        name: str = "image_dedup_filter",
        *,
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        path = removal_parquets_dir
        self.removal_parquets_dir = path.rstrip("/") if is_remote_url(path) else local_path(path)
        self.duplicate_id_field = duplicate_id_field
        self.verbose = verbose
        self._workers_per_node = num_workers_per_node
        self.name = name
        self.storage_options = storage_options

    def num_workers_per_node(self) -> float | None:
        """Return what was asked for."""
        return self._workers_per_node

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry images."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry images."""
        return ["data"], []

    def check_before_run(self) -> None:
        """Raise `InputError` if there are no Parquet files, `MissingExtra` if pyarrow is not installed."""
        require("pyarrow", extra="image", purpose=f"stage {self.name!r}")
        self._files()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the ids.

        Raises:
            InputError: There are no Parquet files.
            DataError: A file has no such column.
        """
        if "ids" not in loaded(self):
            loaded(self)["ids"] = frozenset(each for path in self._files() for each in self._ids_in(path))

    def teardown(self) -> None:
        """Forget the ids."""
        loaded(self).clear()

    def process(self, task: ImageBatch) -> ImageBatch:
        """Return the batch without what is to be removed."""
        self.setup()
        ids: frozenset[str] = loaded(self)["ids"]
        images = [image for image in task.data if image.image_id not in ids]
        removed = len(task.data) - len(images)
        self.record_drops("duplicate", removed)
        if self.verbose:
            _log.info("stage %r: removed %d of %d images of %s", self.name, removed, len(task.data), task.task_id)
        return ImageBatch(task.dataset_name, images, _metadata={**task._metadata, "num_removed": removed})

    def _files(self) -> list[str]:
        found = iter_files(self.removal_parquets_dir, storage_options=self.storage_options)
        files = sorted(file.path for file in found if has_extension(file.path, [".parquet"]))
        if not files:
            message = (
                f"stage {self.name!r}: no Parquet file in {self.removal_parquets_dir}, which should name the images to remove. "
                "Find duplicates first"
            )
            raise InputError(message)
        return files

    def _ids_in(self, path: str) -> list[str]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        fs, inner = resolve_url(path, self.storage_options) if is_remote_url(path) else (None, path)
        source = pa.OSFile(inner) if fs is None else pa.PythonFile(fs.open(inner, "rb"), mode="r")
        with source:
            file = pq.ParquetFile(source)
            there = file.schema_arrow.names
            if self.duplicate_id_field not in there:
                message = (
                    f"stage {self.name!r}: {path} has no column {self.duplicate_id_field!r}; it has: {', '.join(there)}. "
                    "Name it with duplicate_id_field"
                )
                raise DataError(message)
            column = file.read(columns=[self.duplicate_id_field])[self.duplicate_id_field]
        kind = column.type
        if not (
            pa.types.is_string(kind)
            or pa.types.is_large_string(kind)
            or pa.types.is_string_view(kind)
            or pa.types.is_null(kind)
        ):
            message = f"stage {self.name!r}: ids in {path} are of type {kind}; those of images are text, so none would be found"
            raise DataError(message)
        return [each for each in column.to_pylist() if each is not None]
