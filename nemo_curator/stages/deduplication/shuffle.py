"""Bringing together, through files, what has the same key: every task writes its rows sorted by part, every part reads its share of all.

A key is a digest of 128 bits, held as two columns of 64. Which part it goes to says its beginning, so parts get equal shares whatever
the keys stand for, and a row needs no memory but in the part that it belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.parts import ARROW, PartFolder
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.arrow_arrays import arrow_array, numpy_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Keys = npt.NDArray[np.uint64]

__all__ = [
    "HIGH",
    "LOW",
    "key_columns",
    "read_shuffled",
    "same_as_before",
    "sorted_distinct",
    "write_by_part",
    "write_shuffled",
]

HIGH, LOW = "_key_high", "_key_low"
"""Columns of the key: its first and its last eight bytes."""
# Below that a part's rows take longer to compress than to write.
_WORTH_COMPRESSING = 32 << 10


def key_columns(digests: bytes) -> tuple[Keys, Keys]:
    """Return the two columns of keys that are given as digests of 16 bytes in a row."""
    import numpy as np

    words = np.frombuffer(digests, dtype=">u8").astype(np.uint64).reshape(-1, 2)
    return words[:, 0], words[:, 1]


def write_shuffled(
    folder: PartFolder, name: str, table: pa.Table, parts: int, stage: ProcessingStage[Any, Any]
) -> FileGroupTask:
    """Write rows sorted by the part that their key belongs to.

    Args:
        folder: Where to.
        name: Name of the file, without the extension.
        table: Rows with the columns `HIGH` and `LOW`.
        parts: The number of parts.
        stage: Who writes it.
    """
    import numpy as np

    # The product of 32 bits by 32 bits: equal shares for any number of parts, without a division.
    part = ((numpy_of(table[HIGH]) >> np.uint64(32)) * np.uint64(parts)) >> np.uint64(32)
    return write_by_part(folder, name, table, part.astype(np.int64), parts, stage)


def write_by_part(
    folder: PartFolder,
    name: str,
    table: pa.Table,
    part: npt.NDArray[np.int64],
    parts: int,
    stage: ProcessingStage[Any, Any],
) -> FileGroupTask:
    """Write rows by part, each with the number of its own, from 0; within a part they stay in order.

    The file has a batch for every part, so that of a part only its own rows are read, however many parts there are.
    """
    import numpy as np
    import pyarrow as pa

    order = arrow_array(np.argsort(part, kind="stable"))
    columns = [column.combine_chunks() for column in table.take(order).columns]
    ordered = pa.RecordBatch.from_arrays(columns, schema=table.schema)
    sizes = np.bincount(part, minlength=parts).tolist()
    options = pa.ipc.IpcWriteOptions(compression="lz4" if table.nbytes // parts >= _WORTH_COMPRESSING else None)
    with (
        folder.open(name, table.num_rows, stage, ARROW) as handle,
        pa.ipc.new_file(handle, ordered.schema, options=options) as writer,
    ):
        start = 0
        for size in sizes:
            writer.write_batch(ordered.slice(start, size))
            start += size
    return folder.task(name, ARROW)


def read_shuffled(folder: PartFolder, names: list[str], part: int, stage: ProcessingStage[Any, Any]) -> pa.Table:
    """Return the rows of a part, from all files.

    Raises:
        DataError: Files do not fit together: ids are numbers in one and text in another.
    """
    import pyarrow as pa

    tables = [_share(folder, name, part) for name in names]
    filled = [table for table in tables if table.num_rows] or tables[:1]
    try:
        return pa.concat_tables(filled).combine_chunks() if filled else pa.table({})
    except pa.ArrowInvalid as error:
        types: dict[str, set[str]] = {}
        for table in filled:
            for field in table.schema:
                types.setdefault(field.name, set()).add(str(field.type))
        said = "; ".join(f"{name!r}: {' and '.join(sorted(kinds))}" for name, kinds in types.items() if len(kinds) > 1)
        message = (
            f"stage {stage.name!r}: a column is of different kinds in different files ({said or error}). Make it one kind in all of them; "
            "ids can also be assigned"
        )
        raise DataError(message) from error


def _share(folder: PartFolder, name: str, part: int) -> pa.Table:
    import pyarrow as pa

    with folder.source(name) as source:
        batch = pa.ipc.open_file(source).get_batch(part)
        batch.validate()
        return pa.Table.from_batches([batch])


def same_as_before(*columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return, for every row of sorted columns, whether all are equal to those of the row before; false for the first."""
    import numpy as np

    same = np.ones(len(columns[0]), dtype=bool)
    same[:1] = False
    for column in columns:
        same[1:] &= column[1:] == column[:-1]
    return same


def sorted_distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values, sorted, each once. `numpy.unique` looks integers up in a hash table, which takes ten times as long."""
    import numpy as np

    values = np.sort(values)
    return values[~same_as_before(values)]
