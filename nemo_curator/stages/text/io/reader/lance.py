"""Lance data sets as documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from nemo_curator.errors import DataError, InputError, OptionError, require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.io.reader.base import DocumentReader
from nemo_curator.tasks import DocumentBatch, EmptyTask, LanceReadTask
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LancePartitioningStage", "LanceReader", "LanceReaderStage"]

# Of the data set; everything else among `read_kwargs` is an option of the scan.
_OF_THE_DATA_SET = ("version", "storage_options")
_OURS = {"columns", "fragments", "with_row_id", "with_row_address", "blob_handling"}
_FRAGMENT_BITS = 32


@dataclass
class LancePartitioningStage(ProcessingStage[EmptyTask, LanceReadTask]):
    """Make a task for every so many fragments of a data set, in order. The version is settled here, once for the whole run.

    Attributes:
        path: The data set, a folder or a URL that Lance knows.
        fragments_per_partition: Fragments in a task.
        fragment_ids: These fragments only.
        read_kwargs: ``version``, the newest by default, and ``storage_options``.
    """

    path: str
    fragments_per_partition: int = 32
    fragment_ids: list[int] | None = None
    read_kwargs: dict[str, Any] = field(default_factory=dict)
    name: str = "lance_partitioning"

    # Not annotated, so that it is not an argument of the constructor.
    resources = Resources(cpus=0.5)

    def __post_init__(self) -> None:
        if self.fragments_per_partition < 1:
            message = (
                f"stage {self.name!r}: fragments_per_partition must be 1 or more, got {self.fragments_per_partition}"
            )
            raise OptionError(message)
        self.path = self.path if is_remote_url(self.path) else local_path(self.path)
        self.read_kwargs = dict(self.read_kwargs or {})

    def inputs(self) -> tuple[list[str], list[str]]:
        """Nothing."""
        return [], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry ids of fragments."""
        return ["data"], []

    def num_workers(self) -> int | None:
        """One."""
        return 1

    def check_before_run(self) -> None:
        """Raise what `process` would raise."""
        self._fragments()

    def process(self, task: EmptyTask) -> list[LanceReadTask]:
        """Return the tasks.

        Raises:
            MissingExtra: Lance is not installed.
            InputError: There is no such data set, or no such version of it.
            ValueError: It has no such fragments; the message names them.
        """
        version, fragments = self._fragments()
        step = self.fragments_per_partition
        groups = [fragments[start : start + step] for start in range(0, len(fragments), step)]
        return [
            LanceReadTask(
                dataset_name=self.path.rstrip("/").rpartition("/")[2].removesuffix(".lance").lower(),
                data=group,
                path=self.path,
                version=version,
                _metadata={
                    "partition_index": index,
                    "total_partitions": len(groups),
                    "source_files": [self.path],
                },
            )
            for index, group in enumerate(groups)
        ]

    def _fragments(self) -> tuple[int, list[int]]:
        dataset = _open(self.path, self.read_kwargs, self.name)
        there = sorted(fragment.fragment_id for fragment in dataset.get_fragments())
        if self.fragment_ids is None:
            return dataset.version, there
        if unknown := sorted(set(self.fragment_ids) - set(there)):
            message = f"stage {self.name!r}: version {dataset.version} of {self.path} has no fragments {', '.join(map(str, unknown))}"
            raise OptionError(message)
        return dataset.version, sorted(set(self.fragment_ids))


@dataclass
class LanceReaderStage(ProcessingStage[LanceReadTask, DocumentBatch]):
    """Read fragments into one batch, in order. Columns of blobs are read as their bytes.

    The batch's metadata has ``lance``: ``version``, ``fragment_ids``, ``schema`` (Arrow's, of the data set) and ``has_stable_row_ids``.

    Attributes:
        fields: Columns to keep, in this order; `None` for all.
        read_kwargs: ``storage_options``, and options of Lance's scan, such as ``filter="lang = 'en'"``.
        include_lance_metadata: Add ``__lance_rowid``, ``__lance_rowaddr`` and ``__lance_fragid``, by which rows are found again.
    """

    fields: list[str] | None = None
    read_kwargs: dict[str, Any] = field(default_factory=dict)
    include_lance_metadata: bool = True
    name: str = "lance_reader"

    # Not annotated, so that it is not an argument of the constructor.
    resources = Resources(cpus=1.0)

    def __post_init__(self) -> None:
        given: object = self.fields
        if given is not None and (not isinstance(given, (list, tuple)) or not given):
            message = f"stage {self.name!r}: fields must be a list of column names or None for all, got {given!r}"
            raise OptionError(message)
        self.read_kwargs = dict(self.read_kwargs or {})
        if ours := sorted(_OURS & set(self.read_kwargs)):
            message = f"stage {self.name!r}: {', '.join(ours)} cannot be among read_kwargs; fields=[...] names columns"
            raise OptionError(message)
        self.outputs_are_complete = self.fields is not None

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry ids of fragments."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns, as far as they are known before reading."""
        ours = ["__lance_rowid", "__lance_rowaddr", "__lance_fragid"] if self.include_lance_metadata else []
        return ["data"], [*(self.fields or []), *ours]

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if Lance is not installed."""
        require("lance", extra="lance", purpose=f"stage {self.name!r}")

    def process(self, task: LanceReadTask) -> DocumentBatch:
        """Return the rows; a batch without rows if a filter leaves none.

        Raises:
            InputError: The data set, or that version of it, is gone.
            DataError: It lacks a column of `fields`, or cannot be read.
        """
        dataset = _open(task.path, {**self.read_kwargs, "version": task.version}, self.name)
        missing = [name for name in self.fields or [] if name not in dataset.schema.names]
        if missing:
            message = (
                f"stage {self.name!r}: {task.path} has no column {', '.join(map(repr, missing))}; it has: "
                f"{', '.join(dataset.schema.names)}"
            )
            raise DataError(message)
        options = {name: value for name, value in self.read_kwargs.items() if name not in _OF_THE_DATA_SET}
        try:
            table = dataset.scanner(
                columns=self.fields,
                fragments=[dataset.get_fragment(number) for number in task.data],
                with_row_id=self.include_lance_metadata,
                with_row_address=self.include_lance_metadata,
                blob_handling="all_binary",
                **options,
            ).to_table()
        except (ValueError, OSError) as error:
            message = f"stage {self.name!r}: fragments {task.data} of {task.path} cannot be read: {error}"
            raise DataError(message) from error
        lance = {
            "version": task.version,
            "fragment_ids": list(task.data),
            "schema": dataset.schema,
            "has_stable_row_ids": dataset.has_stable_row_ids,
        }
        return DocumentBatch(
            dataset_name=task.dataset_name,
            data=_renamed(table) if self.include_lance_metadata else table,
            _metadata={"source_files": [task.path], "lance": lance},
        )


@dataclass
class LanceReader(DocumentReader):
    """Read a Lance data set: `LancePartitioningStage` and `LanceReaderStage` say what the arguments mean. Needs the extra ``lance``."""

    path: str
    fragments_per_partition: int = 32
    fields: list[str] | None = None
    read_kwargs: dict[str, Any] | None = None
    include_lance_metadata: bool = True
    fragment_ids: list[int] | None = None
    task_type: str = "document"
    name: str = "lance_reader"

    def _parts(self) -> list[ProcessingStage[Any, Any]]:
        options = dict(self.read_kwargs or {})
        of_the_data_set = {name: options[name] for name in _OF_THE_DATA_SET if name in options}
        return [
            LancePartitioningStage(self.path, self.fragments_per_partition, self.fragment_ids, of_the_data_set),
            LanceReaderStage(self.fields, options, self.include_lance_metadata, self.name),
        ]

    def get_description(self) -> str:
        """Return what is read, how it is cut into tasks, and which columns are kept."""
        columns = f"columns {', '.join(self.fields)}" if self.fields else "all columns"
        return f"Read {self.path}: {self.fragments_per_partition} fragments a task, {columns}"


def _open(path: str, options: Mapping[str, Any], stage: str) -> Any:
    require("lance", extra="lance", purpose=f"stage {stage!r}")
    import lance

    chosen = {name: options[name] for name in _OF_THE_DATA_SET if options.get(name) is not None}
    try:
        return cast("Any", lance).dataset(path, **chosen)  # the type checker takes this module for it
    except (ValueError, OSError) as error:
        version = f"version {chosen['version']} of the " if "version" in chosen else ""
        message = f"stage {stage!r}: there is no {version}Lance data set at {path}: {error}"
        raise InputError(message) from error


def _renamed(table: pa.Table) -> pa.Table:
    """Return the table with Lance's columns last, under names that nobody else uses."""
    import pyarrow as pa
    import pyarrow.compute as pc

    addresses = table["_rowaddr"]
    ids = table["_rowid"]
    fragments = pc.call_function("shift_right", [addresses, pa.scalar(_FRAGMENT_BITS, addresses.type)])
    table = table.drop_columns(["_rowid", "_rowaddr"])
    columns = {"__lance_rowid": ids, "__lance_rowaddr": addresses, "__lance_fragid": fragments}
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table
