"""`TextDuplicatesRemovalStage`: leaves out the documents that a deduplication has named."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, InputError, OptionError, require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.columns import arrow_functions, id_column
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import DocumentBatch
from nemo_curator.tasks.document import is_table
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import has_extension, iter_files, local_path, path_exists, resolve_url

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TextDuplicatesRemovalStage"]


class TextDuplicatesRemovalStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Leaves out the rows whose id is in a folder of Parquet files.

    For a batch only the ids between its smallest and its largest are read. ``_metadata["num_removed"]`` of the batch is the number of
    ids to remove in that range; how many rows were left out is counted as ``duplicate``.

    Args:
        ids_to_remove_path: The folder, or a file.
        id_field: Column of the ids of the documents.
        duplicate_id_field: Column of the ids in the files.
        read_kwargs: ``storage_options`` for the filesystem of a URL; nothing else is read.
        drop_id_field: Leave the column of ids out of what goes on.
        name: Name of the stage.

    Raises:
        OptionError: `read_kwargs` has something else in it.
    """

    outputs_are_complete = True

    def __init__(
        self,
        ids_to_remove_path: str,
        id_field: str = CURATOR_DEDUP_ID_STR,
        duplicate_id_field: str = "id",
        read_kwargs: dict[str, Any] | None = None,
        drop_id_field: bool = False,
        name: str = "DuplicatesRemovalStage",
    ) -> None:
        options = dict(read_kwargs or {})
        self.storage_options: dict[str, Any] | None = options.pop("storage_options", None)
        if options:
            message = f"stage {name!r} reads storage_options and nothing else of read_kwargs; got {', '.join(sorted(options))}"
            raise OptionError(message)
        path = ids_to_remove_path
        self.ids_to_remove_path = path.rstrip("/") if is_remote_url(path) else local_path(path)
        self.id_field = id_field
        self.duplicate_id_field = duplicate_id_field
        self.drop_id_field = drop_id_field
        self.name = name
        self._files: list[str] | None = None

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the column of ids."""
        return ["data"], [self.id_field]

    def outputs(self) -> tuple[list[str], list[str]]:
        """No new columns."""
        return ["data"], []

    def check_before_run(self) -> None:
        """Raise `InputError` if there is no such folder."""
        for package in ("numpy", "pyarrow"):
            require(package, extra="dedup", purpose=f"stage {self.name!r}")
        if not path_exists(self.ids_to_remove_path, self.storage_options):
            message = f"stage {self.name!r}: {self.ids_to_remove_path}, with the ids to remove, is not there. Find duplicates first"
            raise InputError(message)

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """List the files, once."""
        found = iter_files(self.ids_to_remove_path, storage_options=self.storage_options)
        self._files = sorted(file.path for file in found if has_extension(file.path, [".parquet"]))

    def teardown(self) -> None:
        """Forget the list."""
        self._files = None

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch without what is to be removed.

        Raises:
            DataError: Documents lack ids or share them, or the files have no such column, or ids of another kind.
        """
        pc = arrow_functions()

        if task.num_items == 0:
            return self._finished(task, task.data, 0)
        ids = id_column(task, self.id_field, self.name)
        bounds = pc.min_max(ids).as_py()
        listed = self._ids_between(bounds["min"], bounds["max"], ids.type)
        keep = pc.invert(pc.is_in(ids, value_set=listed))
        self.record_drops("duplicate", len(ids) - int(pc.sum(keep).as_py()))
        if is_table(task.data):
            return self._finished(task, task.data.filter(keep), len(listed))
        return self._finished(task, task.to_pandas().loc[keep.to_numpy(zero_copy_only=False)], len(listed))

    def _finished(self, task: DocumentBatch, data: Any, listed: int) -> DocumentBatch:
        if self.drop_id_field:
            names = [self.id_field] if self.id_field in task.get_columns() else []
            data = data.drop_columns(names) if is_table(data) else data.drop(columns=names)
        return DocumentBatch(task.dataset_name, data, _metadata={**task._metadata, "num_removed": listed})

    def _ids_between(self, low: Any, high: Any, kind: pa.DataType) -> pa.Array:
        import pyarrow as pa

        if self._files is None:
            self.setup()
        parts = [self._ids_in(path, low, high, kind) for path in self._files or ()]
        return pa.concat_arrays(parts).unique() if parts else pa.array([], kind)

    def _ids_in(self, path: str, low: Any, high: Any, kind: pa.DataType) -> pa.Array:
        import pyarrow as pa
        import pyarrow.parquet as pq

        fs, inner = resolve_url(path, self.storage_options) if is_remote_url(path) else (None, path)
        name = self.duplicate_id_field
        source = pa.OSFile(inner) if fs is None else pa.PythonFile(fs.open(inner, "rb"), mode="r")
        with source:
            file = pq.ParquetFile(source)
            there = file.schema_arrow.names
            if name not in there:
                message = (
                    f"stage {self.name!r}: {path} has no column {name!r}; it has: {', '.join(there)}. "
                    "Name it with duplicate_id_field"
                )
                raise DataError(message)
            column = there.index(name)
            groups = [
                at
                for at in range(file.num_row_groups)
                if _may_have(file.metadata.row_group(at).column(column), low, high)
            ]
            found = file.read_row_groups(groups, columns=[name])[name] if groups else pa.chunked_array([], kind)
        return self._between(found, low, high, kind, path)

    def _between(self, found: pa.ChunkedArray, low: Any, high: Any, kind: pa.DataType, path: str) -> pa.Array:
        import pyarrow as pa

        pc = arrow_functions()

        if pa.types.is_null(found.type):
            return pa.array([], kind)
        if found.type != kind and (pa.types.is_integer(found.type) != pa.types.is_integer(kind)):
            message = (
                f"stage {self.name!r}: ids to remove in {posixpath.basename(path)} are of type {found.type}, those of documents in column "
                f"{self.id_field!r} of type {kind}, so none would be found. Name the columns with id_field and duplicate_id_field"
            )
            raise DataError(message)
        ids = found.cast(kind).combine_chunks()
        ids = pa.concat_arrays(ids.chunks) if isinstance(ids, pa.ChunkedArray) else ids
        return ids.filter(pc.and_(pc.greater_equal(ids, low), pc.less_equal(ids, high)))


def _may_have(column: Any, low: Any, high: Any) -> bool:
    """Say whether a row group may have a value between two bounds, as far as its statistics tell."""
    statistics = column.statistics
    if statistics is None or not statistics.has_min_max:
        return True
    if type(statistics.min) is not type(low):
        return True
    return bool(statistics.min <= high and statistics.max >= low)
