"""Documents as fragments of a Lance data set, which become visible all at once."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from nemo_curator.errors import DataError, OptionError, OutputError, require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import DocumentBatch, FileGroupTask
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.output_manifest import OutputFolder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LanceWriter", "commit_lance_checkpoint"]

_log = logging.getLogger(__name__)

_RECORDS = "records"
_COMMITTED = "_COMMITTED"
_MODES = ("create", "append", "overwrite")
_OURS = {"mode", "schema", "storage_options", "return_transaction"}
# Where Lance keeps the message of a commit, and how far back it is looked for after a crash between commit and note.
_MESSAGE, _COMMITS_LOOKED_AT = "__lance_commit_message", 100


@dataclass
class LanceWriter(ProcessingStage[DocumentBatch, FileGroupTask]):
    """Write every batch as fragments that no reader sees until `commit_lance_checkpoint` makes a version of all of them.

    Beside them stands a record for every batch, ``<commit_path>/records/<hash of the task id>.json``. Writing a batch again replaces its
    record, so that a batch is committed once, however often it was tried; data files of earlier attempts are never referred to, and
    Lance's clean-up removes them. The result names the record.

    Attributes:
        path: The data set, a folder or a URL that Lance knows.
        commit_path: Folder for the records, of its own for every run; local, or a URL that fsspec knows, which gets the same ``storage_options``.
        schema: Arrow's, of the data set; that of the batches by default, which must then be the same for all.
        write_kwargs: Options of ``lance.fragment.write_fragments``, and ``storage_options``.
        fields: Columns to write, in this order; `None` for all.
        mode: What the commit does: ``create`` a data set, ``append`` to one, or ``overwrite`` one with a new version.

    Raises:
        OptionError: An unknown mode, or an option that the constructor names.
    """

    path: str
    commit_path: str
    schema: pa.Schema | None = None
    write_kwargs: dict[str, Any] = field(default_factory=dict)
    fields: list[str] | None = None
    name: str = "lance_writer"
    mode: Literal["create", "append", "overwrite"] = "create"

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            message = f"stage {self.name!r}: mode must be one of {', '.join(_MODES)}, got {self.mode!r}"
            raise OptionError(message)
        self.write_kwargs = dict(self.write_kwargs or {})
        self._storage_options = self.write_kwargs.pop("storage_options", None)
        if ours := sorted(_OURS & set(self.write_kwargs)):
            message = f"stage {self.name!r}: {', '.join(ours)} cannot be among write_kwargs"
            raise OptionError(message)
        self.path = _absolute(self.path)
        self._records = OutputFolder(f"{_absolute(self.commit_path)}/{_RECORDS}", self._storage_options)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the columns that will be written, if they were named."""
        return ["data"], list(self.fields or [])

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a list of paths."""
        return ["data"], []

    def check_before_run(self) -> None:
        """Raise `OutputError` if there is a data set that is to be created, or none that is to grow; `MissingExtra` without Lance."""
        require("lance", extra="lance", purpose=f"stage {self.name!r}")
        there = _data_set(self.path, self._storage_options) is not None
        if self.mode == "create" and there:
            message = f"stage {self.name!r}: there is a data set at {self.path} already; mode='append' or 'overwrite' changes it"
            raise OutputError(message)
        if self.mode == "append" and not there:
            message = (
                f"stage {self.name!r}: there is no Lance data set at {self.path} to append to; mode='create' makes one"
            )
            raise OutputError(message)

    def process(self, task: DocumentBatch) -> FileGroupTask:
        """Write the fragments, then the record.

        Raises:
            DataError: The batch lacks a column, or does not fit the schema.
            OutputError: The files cannot be written.
        """
        from lance.fragment import write_fragments  # pyright: ignore[reportMissingImports] - an extra

        table = self._table(task)
        fragments: list[Any] = []
        try:
            if table.num_rows:
                options = {"storage_options": self._storage_options, **self.write_kwargs}
                mode = "append" if self.mode == "append" else "overwrite"
                fragments = write_fragments(table, self.path, schema=table.schema, mode=mode, **options)
            name = f"{get_deterministic_hash([self.path], task.task_id or _digest(table))}.json"
            record = {
                "dataset": self.path,
                "mode": self.mode,
                "schema": base64.b64encode(table.schema.serialize().to_pybytes()).decode(),
                "task_id": task.task_id,
                "rows": table.num_rows,
                "fragments": [fragment.to_json() for fragment in fragments],
            }
            with self._records.writing(name) as handle:
                handle.write(json.dumps(record, sort_keys=True).encode())
        except OSError as error:
            message = f"stage {self.name!r}: cannot write fragments of {self.path}: {error}"
            raise OutputError(message) from error
        return FileGroupTask(task.dataset_name, [self._records.url(name)], _metadata={"format": "lance"})

    def _table(self, task: DocumentBatch) -> pa.Table:
        import pyarrow as pa

        where = f"stage {self.name!r}: task {task.task_id or task.dataset_name}"
        missing = [name for name in self.fields or [] if name not in task.get_columns()]
        if missing:
            message = f"{where} has no column {', '.join(map(repr, missing))}; it has: {', '.join(task.get_columns())}"
            raise DataError(message)
        try:
            table = task.to_pyarrow()
            table = table if self.fields is None else table.select(self.fields)
            table = table if self.schema is None else table.select(self.schema.names).cast(self.schema)
        except (KeyError, pa.ArrowException, UnicodeEncodeError) as error:
            message = f"{where} does not fit the schema: {error}"
            raise DataError(message) from error
        return table.replace_schema_metadata(None) if self.schema is None else table


def commit_lance_checkpoint(
    dataset_path: str,
    checkpoint_path: str,
    *,
    dataset_storage_options: Mapping[str, str] | None = None,
    checkpoint_storage_options: Mapping[str, Any] | None = None,
) -> int:
    """Make one version of a data set of everything that a run's `LanceWriter` has written. Call it when the run is complete.

    Doing it again changes nothing: a file ``_COMMITTED`` says that it was done, and, after a crash before that file was there, the message
    of the commit.

    Args:
        dataset_path: The `path` of the writer.
        checkpoint_path: Its `commit_path`.
        dataset_storage_options: For the data set.
        checkpoint_storage_options: For the records.

    Returns:
        The version.

    Raises:
        ValueError: There are no records, or they are of another data set or of writers with different modes or schemas.
        OutputError: Lance cannot commit: for instance there is a data set that was to be created.
    """
    require("lance", extra="lance", purpose="commit_lance_checkpoint")
    path, options = _absolute(dataset_path), dict(dataset_storage_options or {}) or None
    folder = OutputFolder(_absolute(checkpoint_path), dict(checkpoint_storage_options or {}) or None)
    records, digest = _read_records(folder, path)
    if _COMMITTED in folder.names():
        with folder._open(_COMMITTED) as handle:
            return int(json.loads(handle.read())["version"])
    version = _version_with(path, options, digest)
    if version is None:
        version = _commit(path, options, records, digest)
    with folder.writing(_COMMITTED) as handle:
        handle.write(json.dumps({"version": version, "digest": digest}).encode())
    return version


def _read_records(folder: OutputFolder, path: str) -> tuple[list[dict[str, Any]], str]:
    inner = OutputFolder(f"{folder.path}/{_RECORDS}", folder.storage_options)
    digest = hashlib.sha256()
    records: list[dict[str, Any]] = []
    for name in (each for each in inner.names() if each.endswith(".json")):
        with inner._open(name) as handle:
            content = handle.read()
        digest.update(content)
        records.append(json.loads(content))
    if not records:
        message = f"there are no records of a LanceWriter in {folder.path}; give its commit_path"
        raise OptionError(message)
    if others := sorted({record["dataset"] for record in records} - {path}):
        message = f"the records in {folder.path} are of {', '.join(others)}, not of {path}"
        raise OptionError(message)
    for what in ("mode", "schema"):
        if len({record[what] for record in records if record["rows"]}) > 1:
            message = f"the batches in {folder.path} are of different {what}s; give LanceWriter one schema=..., and every run a commit_path of its own"
            raise OptionError(message)
    return records, digest.hexdigest()


def _commit(path: str, options: Any, records: list[dict[str, Any]], digest: str) -> int:
    import pyarrow as pa
    from lance import LanceDataset, LanceOperation  # pyright: ignore[reportAttributeAccessIssue] - an extra
    from lance.fragment import FragmentMetadata  # pyright: ignore[reportMissingImports] - an extra

    fragments = [FragmentMetadata.from_json(json.dumps(each)) for record in records for each in record["fragments"]]
    with_rows = next((record for record in records if record["rows"]), records[0])
    there = _data_set(path, options)
    if with_rows["mode"] == "create" and there is not None:
        message = f"there is a data set at {path} already, which the run was to create; nothing was committed"
        raise OutputError(message)
    if with_rows["mode"] == "append":
        operation = LanceOperation.Append(fragments)
    else:
        schema = pa.ipc.read_schema(pa.BufferReader(base64.b64decode(with_rows["schema"])))
        operation = LanceOperation.Overwrite(schema, fragments)
    read_version = None if there is None else there.version
    try:
        done = LanceDataset.commit(
            path, operation, read_version=read_version, storage_options=options, commit_message=_message(digest)
        )
    except (OSError, ValueError) as error:
        message = f"Lance cannot commit {len(fragments)} fragments to {path}: {error}"
        raise OutputError(message) from error
    return done.version


def _version_with(path: str, options: Any, digest: str) -> int | None:
    """Return the version that these very records were committed as, if they were."""
    dataset = _data_set(path, options)
    if dataset is None:
        return None
    for version, transaction in zip(
        range(dataset.version, 0, -1), dataset.get_transactions(_COMMITS_LOOKED_AT), strict=False
    ):
        if transaction is not None and (transaction.transaction_properties or {}).get(_MESSAGE) == _message(digest):
            return version
    return None


def _message(digest: str) -> str:
    return f"nemo_curator checkpoint {digest}"


def _data_set(path: str, options: Any) -> Any:
    """Return the data set; `None` if there is none."""
    import lance

    try:
        return cast("Any", lance).dataset(path, storage_options=options)
    except (ValueError, FileNotFoundError):
        return None


def _digest(table: pa.Table) -> str:
    return hashlib.sha256(json.dumps(table.to_pylist(), default=repr, sort_keys=True).encode()).hexdigest()


def _absolute(path: str) -> str:
    return path.rstrip("/") if is_remote_url(path) else local_path(path)
