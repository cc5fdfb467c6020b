"""The last two steps of fuzzy deduplication: pairs become groups of duplicates, and of every group all but one are named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nemo_curator.stages.deduplication.fuzzy.components import connected_components
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parts import PartFolder, PartTask, PartWriter
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.arrow_arrays import arrow_array, numpy_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["GROUP", "ConnectedComponentsStage", "FuzzyDuplicateIdentification", "parts_of"]

GROUP = "_duplicate_group_id"
"""The column of groups; a group is called by the id of the document that stays."""
_ROW_GROUP = 65536
_GROUPS_IN_PART = 16


def parts_of(rows: int) -> int:
    """Return in how many parts `FuzzyDuplicateIdentification` reads so many rows."""
    return -(-rows // (_ROW_GROUP * _GROUPS_IN_PART))


class ConnectedComponentsStage(PartWriter[PartTask]):
    """Write ``<task id>.parquet`` with every document that has a duplicate, sorted by id, and the group that it is in.

    One task, in one worker. Pairs are read file by file; memory is some 100 bytes for every document that has a duplicate.

    Args:
        edges_path: Where `BucketsToEdgesStage` has written.
        output_path: The folder for the file.
        id_field: Column of the ids.
        storage_options: For the filesystem of URLs.
        name: Name of the stage.
    """

    def __init__(
        self,
        edges_path: str,
        output_path: str,
        id_field: str = CURATOR_DEDUP_ID_STR,
        storage_options: dict[str, Any] | None = None,
        name: str = "connected_components",
    ) -> None:
        self.edges = PartFolder.at(edges_path, storage_options=storage_options)
        self.folder = PartFolder.at(output_path, storage_options=storage_options)
        self.id_field = id_field
        self.name = name

    def num_workers(self) -> int | None:
        """Return 1: there is one task."""
        return 1

    def process(self, task: PartTask) -> FileGroupTask:
        """Write the groups."""
        import pyarrow as pa

        names = self.edges.names()
        documents, groups = connected_components(lambda: self._read(names))
        table = pa.table({self.id_field: arrow_array(documents), GROUP: arrow_array(groups)})
        return self.folder.write(task.task_id or "components", table, self, row_group_size=_ROW_GROUP)

    def _read(self, names: list[str]) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        for name in names:
            with self.edges.reading(name) as file:
                for batch in file.iter_batches(batch_size=1 << 20):
                    x, y = (numpy_of(batch[f"{self.id_field}_{side}"]) for side in "xy")
                    yield x, y


class FuzzyDuplicateIdentification(PartWriter[PartTask]):
    """Write, for a part of the groups, ``part.<N>.parquet`` with the ids of what is to be removed, sorted.

    Of a group the document with the smallest id stays, which comes first in the order of files and rows.

    Args:
        components_path: Where `ConnectedComponentsStage` has written.
        output_path: The folder for the files.
        id_field: Column of the ids.
        storage_options: For the filesystem of the first folder.
        output_storage_options: For the filesystem of the second.
        name: Name of the stage.
    """

    def __init__(
        self,
        components_path: str,
        output_path: str,
        id_field: str = CURATOR_DEDUP_ID_STR,
        storage_options: dict[str, Any] | None = None,
        output_storage_options: dict[str, Any] | None = None,
        name: str = "fuzzy_duplicate_identification",
    ) -> None:
        self.components = PartFolder.at(components_path, storage_options=storage_options)
        self.folder = PartFolder.at(output_path, storage_options=output_storage_options)
        self.id_field = id_field
        self.name = name

    def process(self, task: PartTask) -> FileGroupTask:
        """Write what is to be removed of a part."""
        import pyarrow as pa

        (name,) = self.components.names()
        with self.components.reading(name) as file:
            first = task.data * _GROUPS_IN_PART
            table = file.read_row_groups(list(range(first, min(first + _GROUPS_IN_PART, file.num_row_groups))))
        ids = numpy_of(table[self.id_field])
        removed = ids[ids != numpy_of(table[GROUP])]
        self.record_drops("fuzzy_duplicate", len(removed))
        return self.folder.write(
            f"part.{task.data}", pa.table({self.id_field: arrow_array(removed)}), self, row_group_size=_ROW_GROUP
        )
