"""`DocumentBatch`: rows of text with their columns, as an Arrow table or a pandas frame."""

# pyarrow ships no types, so everything that touches a table is unknown to the checker.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

from nemo_curator.tasks.base import Task

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["DocumentBatch", "is_frame", "is_table"]

_log = logging.getLogger(__name__)


def is_frame(data: object) -> TypeGuard[pd.DataFrame]:
    """Say whether a payload is a pandas frame."""
    # Nothing can be a pandas frame in a process that never imported pandas, and importing it costs half a second.
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def is_table(data: object) -> TypeGuard[pa.Table]:
    """Say whether a payload is an Arrow table."""
    pyarrow = sys.modules.get("pyarrow")
    return pyarrow is not None and isinstance(data, pyarrow.Table)


@dataclass(repr=False)
class DocumentBatch(Task["pa.Table | pd.DataFrame"]):
    """A batch of documents, one a row."""

    @property
    def num_items(self) -> int:
        """Number of rows."""
        return len(self.data)

    def validate(self) -> bool:
        """Warn when there are no rows or no columns."""
        if len(self.data) == 0 or not self.get_columns():
            _log.debug("document batch of data set %r is empty", self.dataset_name)
            return False
        return True

    def get_columns(self) -> list[str]:
        """Return the names of the columns."""
        if is_frame(self.data):
            return [str(name) for name in self.data.columns]
        if is_table(self.data):
            return list(self.data.column_names)
        raise self._wrong_payload()

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a frame: the payload itself if it is one (changes are seen), else a conversion."""
        if is_frame(self.data):
            return self.data
        if is_table(self.data):
            return self.data.to_pandas()
        raise self._wrong_payload()

    def to_pyarrow(self) -> pa.Table:
        """Return the rows as a table: the payload itself if it is one, else a conversion."""
        if is_table(self.data):
            return self.data
        if is_frame(self.data):
            import pyarrow as pa

            return pa.Table.from_pandas(self.data)
        raise self._wrong_payload()

    def _wrong_payload(self) -> TypeError:
        data: Any = self.data
        return TypeError(f"DocumentBatch.data must be a pandas DataFrame or a pyarrow Table, got {type(data).__name__}")
