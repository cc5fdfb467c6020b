"""The two steps that find equal texts, however many there are: digests of texts brought together, then all but one of every set named."""

from __future__ import annotations

from hashlib import md5
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, OptionError, require
from nemo_curator.stages.deduplication.columns import arrow_functions, id_column, text_column
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parts import PartFolder, PartTask, PartWriter
from nemo_curator.stages.deduplication.shuffle import (
    HIGH,
    LOW,
    key_columns,
    read_shuffled,
    same_as_before,
    write_shuffled,
)
from nemo_curator.tasks import DocumentBatch, FileGroupTask
from nemo_curator.utils.arrow_arrays import arrow_array, numpy_of
from nemo_curator.utils.output_manifest import RunOutput

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DUPLICATE_OF", "ExactDuplicateIdentification", "HashTextsStage"]

DUPLICATE_OF = "_duplicate_of"
"""The column that names the document that was kept."""
# Small row groups let removal read the ids between two bounds, and little else.
_ROW_GROUP = 65536


class HashTextsStage(PartWriter[DocumentBatch]):
    """Write, for every batch, a file with MD5 digest and id of every text, sorted by the part that the digest belongs to.

    Two different texts of a data set have the same digest with a chance of n²/2¹²⁹ for n texts, below one in 10¹⁴ for 10¹² of them;
    somebody who wants to can make two such texts. A missing text equals no other and is left out.

    Args:
        output_path: The folder for the files.
        parts: Into how many parts digests are divided.
        text_field: Column of the text.
        id_field: Column of the ids.
        normalize_text: Compare without regard to case and to white space.
        storage_options: For the filesystem of a URL.
        name: Name of the stage.

    Raises:
        OptionError: There is not at least one part.
    """

    def __init__(
        self,
        output_path: str,
        parts: int,
        text_field: str = "text",
        id_field: str = CURATOR_DEDUP_ID_STR,
        normalize_text: bool = False,
        storage_options: dict[str, Any] | None = None,
        name: str = "hash_texts",
    ) -> None:
        if parts < 1:
            message = f"stage {name!r}: there must be at least one part, got {parts}"
            raise OptionError(message)
        self.folder = PartFolder.at(output_path, storage_options=storage_options)
        self.parts = parts
        self.text_field = text_field
        self.id_field = id_field
        self.normalize_text = normalize_text
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of text and ids."""
        return ["data"], [self.text_field, self.id_field]

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if the packages that it needs are not installed."""
        for package in ("numpy", "pyarrow"):
            require(package, extra="dedup", purpose=f"stage {self.name!r}")

    def process(self, task: DocumentBatch) -> FileGroupTask:
        """Write the digests of a batch.

        Raises:
            DataError: The text is not text, or documents lack ids or share them.
        """
        import pyarrow as pa

        texts = text_column(task, self.text_field, self.name, normalize=self.normalize_text)
        ids = id_column(task, self.id_field, self.name)
        if texts.null_count:
            there = texts.is_valid()
            texts, ids = texts.filter(there), ids.filter(there)
        high, low = key_columns(_digests(texts))
        table = pa.table({HIGH: arrow_array(high), LOW: arrow_array(low), self.id_field: ids})
        return write_shuffled(self.folder, task.task_id or task.dataset_name, table, self.parts, self)


def _digests(texts: pa.LargeStringArray) -> bytes:
    """Return the MD5 digests in a row, from the bytes where they lie: a text never becomes a Python string."""
    import numpy as np

    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1].tolist()
    content = texts.buffers()[2]
    bytes_of = memoryview(content) if content is not None else memoryview(b"")
    return b"".join([md5(bytes_of[start:stop], usedforsecurity=False).digest() for start, stop in pairwise(offsets)])


class ExactDuplicateIdentification(PartWriter[PartTask]):
    """Find the equal digests of a part; keep the document with the smallest id of every set, and write the others down.

    Memory is what the digests of a part take: about 100 bytes a document at the peak.

    Args:
        shuffle_path: Where `HashTextsStage` has written.
        output_path: The folder for ``part.<N>.parquet`` with the ids of what is to be removed, sorted.
        kept_path: The folder for files that say for each of these which document stays instead.
        id_field: Column of the ids.
        storage_options: For the filesystem of the first folder.
        output_storage_options: For the filesystem of the others.
        name: Name of the stage.
    """

    def __init__(
        self,
        shuffle_path: str,
        output_path: str,
        kept_path: str,
        id_field: str = CURATOR_DEDUP_ID_STR,
        storage_options: dict[str, Any] | None = None,
        output_storage_options: dict[str, Any] | None = None,
        name: str = "exact_duplicate_identification",
    ) -> None:
        self.shuffled = PartFolder.at(shuffle_path, storage_options=storage_options)
        self.folder = PartFolder.at(output_path, storage_options=output_storage_options)
        self.kept = PartFolder.at(kept_path, storage_options=output_storage_options)
        self.id_field = id_field
        self.name = name

    def process(self, task: PartTask) -> FileGroupTask | None:
        """Write what is to be removed of a part; nothing if there is nothing.

        Raises:
            DataError: Two documents of the same text have the same id.
        """
        import numpy as np
        import pyarrow as pa

        table = read_shuffled(self.shuffled, self.shuffled.names(), task.data, self)
        if table.num_rows == 0:
            return None
        table = table.sort_by([(HIGH, "ascending"), (LOW, "ascending"), (self.id_field, "ascending")])
        repeated = same_as_before(numpy_of(table[HIGH]), numpy_of(table[LOW]))
        # The row that a set begins with, for every row.
        first = np.maximum.accumulate(np.where(repeated, 0, np.arange(len(repeated))))
        removed = np.flatnonzero(repeated)
        if not len(removed):
            return None
        ids = table[self.id_field].combine_chunks()
        found = pa.table(
            {self.id_field: ids.take(arrow_array(removed)), DUPLICATE_OF: ids.take(arrow_array(first[removed]))}
        )
        found = found.sort_by(self.id_field)
        self._check_unique(found)
        self.kept.write(f"part.{task.data}", found, self, row_group_size=_ROW_GROUP)
        self.record_drops("exact_duplicate", len(removed))
        return self.folder.write(f"part.{task.data}", found.select([self.id_field]), self, row_group_size=_ROW_GROUP)

    def _check_unique(self, found: pa.Table) -> None:
        pc = arrow_functions()

        ids = found[self.id_field]
        twice = pc.equal(ids, found[DUPLICATE_OF])
        if pc.any(twice).as_py():
            message = (
                f"stage {self.name!r}: two documents with the same text have the same id, {ids.filter(twice)[0].as_py()!r}. "
                "Removing one would remove the other: make ids unique, or let ids be assigned"
            )
            raise DataError(message)

    def commit_output(self, output: RunOutput) -> None:
        """Lay the manifests of both folders down."""
        super().commit_output(output)
        self.kept.commit(output)
