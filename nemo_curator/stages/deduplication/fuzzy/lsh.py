"""The two steps of locality-sensitive hashing: bands of signatures brought together, then buckets of documents that agree in a band.

(Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4: a signature is cut into b bands of r numbers; what agrees in all numbers
of one band is a candidate.)
"""

from __future__ import annotations

import posixpath
from hashlib import md5
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError
from nemo_curator.stages.deduplication.fuzzy.minhash import SIGNATURE
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
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.arrow_arrays import arrow_array, numpy_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BUCKET", "BandHashStage", "LSHStage"]

BUCKET = "_bucket_id"
"""The column of buckets."""
_BAND = "_band"


class BandHashStage(PartWriter[FileGroupTask]):
    """Write, for a file of signatures, the MD5 of every band of every signature, sorted by the part that it belongs to.

    Args:
        minhash_path: The folder that the files are in.
        output_path: The folder for what is written.
        parts: Into how many parts digests are divided.
        bands: The first band and the one after the last.
        rows: Numbers in a band.
        id_field: Column of the ids.
        storage_options: For the filesystem of URLs.
        name: Name of the stage.
    """

    def __init__(
        self,
        minhash_path: str,
        output_path: str,
        parts: int,
        bands: tuple[int, int],
        rows: int,
        id_field: str = CURATOR_DEDUP_ID_STR,
        storage_options: dict[str, Any] | None = None,
        name: str = "band_hashes",
    ) -> None:
        self.minhash = PartFolder.at(minhash_path, storage_options=storage_options)
        self.folder = PartFolder.at(output_path, storage_options=storage_options)
        self.parts = parts
        self.bands = bands
        self.rows = rows
        self.id_field = id_field
        self.name = name

    def process(self, task: FileGroupTask) -> FileGroupTask:
        """Write the digests of a file.

        Raises:
            DataError: Signatures are too short for these bands.
        """
        import numpy as np
        import pyarrow as pa

        name = posixpath.basename(str(task.data[0]))
        tables: list[pa.Table] = []
        with self.minhash.reading(name) as file:
            for batch in file.iter_batches(batch_size=16384):
                signatures = self._signatures(batch, name)
                for band in range(*self.bands):
                    part = np.ascontiguousarray(signatures[:, band * self.rows : (band + 1) * self.rows])
                    high, low = key_columns(b"".join([md5(row, usedforsecurity=False).digest() for row in part]))
                    number = np.full(len(part), band, np.uint16)
                    tables.append(
                        pa.table(
                            {
                                HIGH: arrow_array(high),
                                LOW: arrow_array(low),
                                _BAND: arrow_array(number),
                                self.id_field: batch[self.id_field],
                            }
                        )
                    )
        none = pa.nulls(0, pa.uint64())
        empty = pa.table(
            {HIGH: none, LOW: none, _BAND: pa.nulls(0, pa.uint16()), self.id_field: pa.nulls(0, pa.int64())}
        )
        table = pa.concat_tables(tables) if tables else empty
        return write_shuffled(self.folder, task.task_id or name.removesuffix(".parquet"), table, self.parts, self)

    def _signatures(self, batch: pa.RecordBatch, name: str) -> Any:
        import numpy as np

        flat = numpy_of(batch[SIGNATURE].flatten())
        length = len(flat) // max(len(batch), 1)
        if length < self.bands[1] * self.rows or length * len(batch) != len(flat):
            message = (
                f"stage {self.name!r}: signatures in {name} have {length} numbers, too few for {self.bands[1]} bands of {self.rows}. "
                "Make them anew with num_bands times minhashes_per_band numbers"
            )
            raise DataError(message)
        # As bytes, in the same order on every machine.
        return np.asarray(flat, "<u8" if flat.dtype == np.uint64 else "<u4").reshape(len(batch), length)


class LSHStage(PartWriter[PartTask]):
    """Write, for a part of the digests, ``part.<N>.parquet`` with every bucket of two documents and more.

    A bucket is ``b<band>_<md5>``, and its documents are sorted. Memory is what a part takes.

    Args:
        shuffle_path: Where `BandHashStage` has written.
        output_path: The folder for the files.
        id_field: Column of the ids.
        storage_options: For the filesystem of URLs.
        name: Name of the stage.
    """

    def __init__(
        self,
        shuffle_path: str,
        output_path: str,
        id_field: str = CURATOR_DEDUP_ID_STR,
        storage_options: dict[str, Any] | None = None,
        name: str = "lsh",
    ) -> None:
        self.shuffled = PartFolder.at(shuffle_path, storage_options=storage_options)
        self.folder = PartFolder.at(output_path, storage_options=storage_options)
        self.id_field = id_field
        self.name = name

    def process(self, task: PartTask) -> FileGroupTask | None:
        """Write the buckets of a part; nothing if there are none."""
        import numpy as np
        import pyarrow as pa

        table = read_shuffled(self.shuffled, self.shuffled.names(), task.data, self)
        if not table.num_rows:
            return None
        table = table.sort_by([(name, "ascending") for name in (_BAND, HIGH, LOW, self.id_field)])
        columns = [numpy_of(table[name]) for name in (_BAND, HIGH, LOW)]
        repeated = same_as_before(*columns)
        followed = np.append(repeated[1:], False)
        # Rows of buckets that have more than one, and where such a bucket begins among them.
        inside = np.flatnonzero(repeated | followed)
        if not len(inside):
            return None
        begins = np.flatnonzero(~repeated[inside])
        offsets = arrow_array(np.append(begins, len(inside)).astype(np.int32))
        band, high, low = (column[inside[begins]].tolist() for column in columns)
        names = [f"b{number}_{first:016x}{last:016x}" for number, first, last in zip(band, high, low, strict=True)]
        ids = table[self.id_field].combine_chunks().take(arrow_array(inside))
        buckets = pa.table(
            {BUCKET: arrow_array(names, pa.string()), self.id_field: pa.ListArray.from_arrays(offsets, ids)}
        )
        return self.folder.write(f"part.{task.data}", buckets, self, row_group_size=65536)
