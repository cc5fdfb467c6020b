"""Writers of text. Importing this package imports none of them, nor pandas or pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.text.io.writer.jsonl import JsonlWriter
    from nemo_curator.stages.text.io.writer.parquet import ParquetWriter

__all__ = ["JsonlWriter", "ParquetWriter"]

__getattr__ = lazy_names(__name__, {name: "jsonl" if name.startswith("Jsonl") else "parquet" for name in __all__})


def __dir__() -> list[str]:
    return sorted(__all__)
