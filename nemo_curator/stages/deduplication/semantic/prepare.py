"""The first steps: embeddings as they are computed with, in files of their own, and the check that no two have the same id."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.columns import id_column, one_column
from nemo_curator.stages.deduplication.parts import PartFolder, PartTask, PartWriter
from nemo_curator.stages.deduplication.semantic.vectors import KEY, keys_of, unit_vectors
from nemo_curator.stages.deduplication.shuffle import (
    HIGH,
    LOW,
    key_columns,
    read_shuffled,
    same_as_before,
    write_shuffled,
)
from nemo_curator.tasks import DocumentBatch, FileGroupTask
from nemo_curator.utils.output_manifest import RunOutput

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PrepareVectorsStage", "UniqueIdsStage"]

_GROUP_BYTES = 8 << 20


class PrepareVectorsStage(PartWriter[DocumentBatch]):
    """Write, for every batch, a file with ids, embeddings of length 1, and other columns; and one of ids alone, for `UniqueIdsStage`.

    A row without an embedding (null or empty), with NaN or infinity in it, or with zeros only cannot be compared: it is left out, so it is
    never a duplicate, and is counted as ``embedding_missing``, ``embedding_not_finite`` or ``embedding_zero``.

    Args:
        output_path: The folder for the files.
        ids_path: The folder for the files of ids; `None` for none, where ids were given out by us.
        parts: Into how many parts ids are divided.
        id_field: Column of the ids.
        embedding_field: Column of the embeddings.
        metadata_fields: Columns to keep beside.
        embedding_dim: How many dimensions there must be; `None` for any, the same for all.
        storage_options: For the filesystem of a URL.
        name: Name of the stage.
    """

    def __init__(
        self,
        output_path: str,
        ids_path: str | None,
        parts: int,
        id_field: str,
        embedding_field: str,
        metadata_fields: Sequence[str] = (),
        embedding_dim: int | None = None,
        storage_options: dict[str, Any] | None = None,
        name: str = "prepare_vectors",
    ) -> None:
        self.folder = PartFolder.at(output_path, storage_options=storage_options)
        self.ids = None if ids_path is None else PartFolder.at(ids_path, storage_options=storage_options)
        self.parts = parts
        self.id_field = id_field
        self.embedding_field = embedding_field
        self.metadata_fields = list(metadata_fields)
        self.embedding_dim = embedding_dim
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of ids, embeddings and what is kept beside."""
        return ["data"], [self.id_field, self.embedding_field, *self.metadata_fields]

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if the packages that it needs are not installed."""
        for package in ("numpy", "pyarrow"):
            require(package, extra="dedup", purpose=f"stage {self.name!r}")

    def process(self, task: DocumentBatch) -> FileGroupTask | None:
        """Write the vectors of a batch; nothing if it has none.

        Raises:
            DataError: Embeddings are no lists of numbers, or of different lengths; ids are missing, of another kind, or there twice.
        """
        import pyarrow as pa

        name = task.task_id or task.dataset_name
        ids = id_column(task, self.id_field, self.name)
        where = f"stage {self.name!r}: column {self.embedding_field!r} of task {name}"
        units, rows, reasons = unit_vectors(
            one_column(task, self.embedding_field, self.name), where, self.embedding_dim
        )
        for reason, count in reasons.items():
            self.record_drops(reason, count)
        if self.ids is not None:
            write_shuffled(self.ids, name, _id_table(ids, self.id_field), self.parts, self)
        if not len(rows):
            return None
        ids = ids.take(pa.array(rows))
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(units.reshape(-1)), units.shape[1])
        columns: dict[str, Any] = {self.id_field: ids, KEY: keys_of(ids), self.embedding_field: vectors}
        for field in self.metadata_fields:
            columns[field] = one_column(task, field, self.name).take(pa.array(rows))
        options: dict[str, Any] = {"use_dictionary": False, "compression": "none"}
        size = max(1, _GROUP_BYTES // (4 * units.shape[1] + 64))
        return self.folder.write(name, pa.table(columns), self, row_group_size=size, **options)

    def commit_output(self, output: RunOutput) -> None:
        """Lay the manifests of both folders down."""
        super().commit_output(output)
        if self.ids is not None:
            self.ids.commit(output)


def _id_table(ids: pa.Array, field: str) -> pa.Table:
    """Return ids with the digest that says in which part they are looked at."""
    import pyarrow as pa

    digests = (hashlib.blake2b(str(key).encode(), digest_size=16).digest() for key in ids.to_pylist())
    high, low = key_columns(b"".join(digests))
    return pa.table({HIGH: high, LOW: low, field: ids})


class UniqueIdsStage(ProcessingStage[PartTask, PartTask]):
    """Look at a part of the ids, and fail if one is there twice: removing the one document would remove the other.

    Args:
        ids_path: Where `PrepareVectorsStage` has written them.
        id_field: Column of the ids.
        storage_options: For the filesystem of a URL.
        name: Name of the stage.
    """

    def __init__(
        self, ids_path: str, id_field: str, storage_options: dict[str, Any] | None = None, name: str = "unique_ids"
    ) -> None:
        self.shuffled = PartFolder.at(ids_path, storage_options=storage_options)
        self.id_field = id_field
        self.name = name

    def process(self, task: PartTask) -> PartTask:
        """Return the task.

        Raises:
            DataError: An id is there twice, or ids are numbers in one file and text in another.
        """
        import numpy as np

        table = read_shuffled(self.shuffled, self.shuffled.names(), task.data, self)
        if not table.num_rows:
            return task
        table = table.sort_by([(HIGH, "ascending"), (LOW, "ascending")])
        again = np.flatnonzero(same_as_before(table[HIGH].to_numpy(), table[LOW].to_numpy()))
        if len(again):
            message = (
                f"stage {self.name!r}: column {self.id_field!r} has {len(again)} ids more than once, {table[self.id_field][int(again[0])].as_py()!r} "
                "among them. Removing one of these documents would remove the other: make ids unique"
            )
            raise DataError(message)
        return task
