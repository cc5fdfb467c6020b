"""`BucketsToEdgesStage`: from buckets of documents to pairs of them."""

from __future__ import annotations

import logging
from typing import Any

from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parts import PartFolder, PartWriter
from nemo_curator.stages.deduplication.shuffle import same_as_before
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.arrow_arrays import arrow_array, numpy_of

__all__ = ["BucketsToEdgesStage"]

_log = logging.getLogger(__name__)


class BucketsToEdgesStage(PartWriter[FileGroupTask]):
    """Write, for files of buckets, ``<task id>.parquet`` with pairs of documents that follow one another in a bucket, each pair once.

    A bucket of n documents makes n-1 pairs: enough to connect all of them.

    Args:
        output_path: The folder for the files.
        document_id_field: Column of the ids; the pairs are in ``<field>_x`` and ``<field>_y``.
        read_kwargs: ``storage_options`` for the buckets; anything else is not looked at.
        write_kwargs: ``storage_options`` for the pairs; anything else is not looked at.
        name: Name of the stage.
    """

    def __init__(
        self,
        output_path: str,
        document_id_field: str = CURATOR_DEDUP_ID_STR,
        read_kwargs: dict[str, Any] | None = None,
        write_kwargs: dict[str, Any] | None = None,
        name: str = "buckets_to_edges",
    ) -> None:
        for option, given in (("read_kwargs", read_kwargs), ("write_kwargs", write_kwargs)):
            others = sorted(set(given or {}) - {"storage_options"})
            if others:
                _log.warning("stage %r: of %s only storage_options is read, not %s", name, option, ", ".join(others))
        self.read_options: dict[str, Any] | None = (read_kwargs or {}).get("storage_options")
        self.folder = PartFolder.at(output_path, storage_options=(write_kwargs or {}).get("storage_options"))
        self.document_id_field = document_id_field
        self.name = name

    def process(self, task: FileGroupTask) -> FileGroupTask:
        """Write the pairs of the task's files."""
        import numpy as np
        import pyarrow as pa

        found = [self._pairs(str(path)) for path in task.data]
        pairs = np.concatenate([np.zeros((0, 2), np.int64), *found])
        x, y = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].T
        first = ~same_as_before(x, y)
        columns = {
            f"{self.document_id_field}_x": arrow_array(x[first]),
            f"{self.document_id_field}_y": arrow_array(y[first]),
        }
        return self.folder.write(task.task_id or task.dataset_name, pa.table(columns), self)

    def _pairs(self, path: str) -> Any:
        import numpy as np

        folder, name = path.rsplit("/", 1)
        with PartFolder.at(folder, storage_options=self.read_options).reading(name) as file:
            lists = file.read(columns=[self.document_id_field])[self.document_id_field].combine_chunks()
        ids = numpy_of(lists.flatten())
        offsets = numpy_of(lists.offsets)
        inside = np.ones(max(len(ids) - 1, 0), bool)
        # Between two buckets there is no pair.
        ends = offsets[1:-1] - offsets[0] - 1
        inside[ends[(ends >= 0) & (ends < len(inside))]] = False
        return np.column_stack([ids[:-1][inside], ids[1:][inside]])
