"""`Rows`: the rows of a batch while a stage works on them."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import compress
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError
from nemo_curator.tasks import DocumentBatch
from nemo_curator.tasks.document import is_table
from nemo_curator.utils.arrow_arrays import arrow_array

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Rows"]

_OF_TEXTS = {str, type(None)}


class Rows:
    """Columns as Python lists: read once, cut together, written back at once.

    Row by row access to a frame costs more than most filters, so a stage takes the columns that it needs as lists. The
    batch it was made from is never changed, so that a stage can be tried again on the same task. The result is of the kind
    that the batch was: a frame keeps its index, a table stays a table.

    In a list a missing value is `None`, or NaN in a numeric column.
    """

    def __init__(self, batch: DocumentBatch) -> None:
        self._batch = batch
        self._positions: list[int] | None = None
        self._columns: dict[str, list[Any]] = {}
        self._changed: dict[str, None] = {}
        self._dropped: list[str] = []
        self._new_index = False

    def __len__(self) -> int:
        return self._batch.num_items if self._positions is None else len(self._positions)

    @property
    def positions(self) -> Sequence[int]:
        """Where the rows that are left stand in the batch."""
        return range(len(self)) if self._positions is None else self._positions

    def column(self, name: str) -> list[Any]:
        """Return the values of a column in the rows that are left. Do not change the list.

        Raises:
            KeyError: There is no such column.
        """
        if name not in self._columns:
            values = _read(self._batch.data, name)
            self._columns[name] = values if self._positions is None else [values[at] for at in self._positions]
        return self._columns[name]

    def filled(self, name: str, missing: Any = "") -> list[Any]:
        """Return the values of a column, with `missing` in place of `None`, and of NaN where a frame has no value in the whole column."""
        values = self.column(name)
        if None in values:
            return [missing if value is None else value for value in values]
        if values and all(isinstance(value, float) and math.isnan(value) for value in values):
            return [missing] * len(values)
        return values

    def texts(self, name: str, stage: str, missing: Any = "") -> list[Any]:
        """Return the values of a column of text; a missing text counts as an empty one, or as `missing`.

        Raises:
            DataError: There is a value that is not text. `stage` is the name of the stage, for the message.
        """
        values = self.filled(name, missing)
        # Once for each batch of every pipeline of texts: what is not text is looked for only where there is some.
        if not set(map(type, values)) <= _OF_TEXTS and (error := self.why_not_text(name, stage)):
            raise error
        return values

    @contextmanager
    def as_texts(self, name: str, stage: str) -> Iterator[None]:
        """Around a function that wants text, unless its author says otherwise: where it fails over a value that is none, say so.

        Raises:
            DataError: It failed with a `TypeError` or `AttributeError`, and there is a value that is not text.
        """
        try:
            yield
        except (TypeError, AttributeError) as error:
            if said := self.why_not_text(name, stage):
                raise said from error
            raise

    def why_not_text(self, name: str, stage: str) -> DataError | None:
        """Return the error that says which values of a column are not text; `None` if there are only texts and missing ones."""
        values = self.filled(name, None)
        others = [(at, value) for at, value in enumerate(values) if not isinstance(value, str | None)]
        if not others:
            return None
        kinds = ", ".join(sorted({type(value).__name__ for _, value in others}))
        at, first = others[0]
        message = (
            f"stage {stage!r}: column {name!r} of task {self._batch.task_id or self._batch.dataset_name} is not text: {len(others)} of "
            f"{len(values)} values are of type {kinds}, the first, in row {self.positions[at]}, is {reprlib.repr(first)}. "
            f"Name the column of text, or make it text first, with Modify(str, {name!r}) for example"
        )
        return DataError(message)

    def set_column(self, name: str, values: Iterable[Any]) -> None:
        """Add or replace a column, with one value for every row that is left.

        Without rows, a column that is there stays as it is, so that it keeps its type.
        """
        if not len(self) and name in self._batch.get_columns():
            return
        as_list = getattr(values, "tolist", None)  # of numpy and Arrow arrays
        self._columns[name] = as_list() if as_list is not None else list(values)
        if len(self._columns[name]) != len(self):
            message = f"column {name!r} got {len(self._columns[name])} values for {len(self)} rows"
            raise DataError(message)
        self._changed[name] = None

    def drop_column(self, name: str) -> None:
        """Leave a column out of the result."""
        self._dropped.append(name)

    def keep(self, mask: Sequence[bool]) -> None:
        """Keep the rows where `mask` is true."""
        if all(mask):
            return
        self._positions = list(compress(self.positions, mask))
        self._columns = {name: list(compress(values, mask)) for name, values in self._columns.items()}

    def take(self, positions: Sequence[int]) -> None:
        """Keep these of the rows that are left, in this order, some perhaps several times; numbers them anew."""
        self._positions = list(positions) if self._positions is None else [self._positions[at] for at in positions]
        self._columns = {name: [values[at] for at in positions] for name, values in self._columns.items()}
        self._new_index = True

    def to_batch(self) -> DocumentBatch:
        """Return the batch itself when nothing was changed, otherwise a new one."""
        if self._positions is None and not self._changed and not self._dropped:
            return self._batch
        data = self._batch.data
        new = self._table(data) if is_table(data) else self._frame(self._batch.to_pandas())
        return DocumentBatch(dataset_name=self._batch.dataset_name, data=new)

    def _frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        # A shallow copy shares the columns; setting one of them leaves the original alone.
        new = frame.copy(deep=False) if self._positions is None else frame.iloc[self._positions].copy(deep=False)
        if self._new_index:
            new = new.reset_index(drop=True)
        for name in self._changed:
            try:
                new[name] = self._columns[name]
            except UnicodeEncodeError:  # a lone surrogate fits a column of Python objects only, such as it came in
                import pandas as pd

                new[name] = pd.Series(self._columns[name], index=new.index, dtype=object)
        return new.drop(columns=self._dropped) if self._dropped else new

    def _table(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        new = table if self._positions is None else table.take(arrow_array(self._positions, pa.int64()))
        for name in self._changed:
            at = new.schema.get_field_index(name)
            column = _to_arrow(name, self._columns[name], None if at < 0 else new.schema.types[at])
            new = new.append_column(name, column) if at < 0 else new.set_column(at, name, column)
        return new.drop_columns(self._dropped) if self._dropped else new


def _read(data: pa.Table | pd.DataFrame, name: str) -> list[Any]:
    if is_table(data):
        import pyarrow as pa

        column = data.column(name)
        numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        values = column.to_pylist()
        return [math.nan if value is None else value for value in values] if numeric and column.null_count else values
    series = data[name]
    if not series.hasnans:
        return series.tolist()
    if series.dtype.kind in "iuf":
        return series.astype(float).tolist()
    return series.astype(object).where(series.notna(), None).tolist()


def _to_arrow(name: str, values: list[Any], old: pa.DataType | None) -> pa.Array:
    import pyarrow as pa

    try:
        column = arrow_array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        kinds = ", ".join(sorted({type(value).__name__ for value in values}))
        message = f"the values of column {name!r} are of kinds that do not fit one column: {kinds}"
        raise DataError(message) from error
    # Nothing but missing values, or strings where there were large strings: all batches shall keep one schema.
    same_kind = old is not None and (
        pa.types.is_null(column.type) or (pa.types.is_string(column.type) and _is_text(old))
    )
    return column.cast(old) if same_kind else column


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
