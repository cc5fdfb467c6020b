"""Readers of text. Importing this package imports none of them, nor pandas or pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.text.io.reader.files import (
        HtmlFileReader,
        HtmlFileReaderStage,
        TextFileReader,
        TextFileReaderStage,
    )
    from nemo_curator.stages.text.io.reader.jsonl import JsonlReader, JsonlReaderStage
    from nemo_curator.stages.text.io.reader.lance import LancePartitioningStage, LanceReader, LanceReaderStage
    from nemo_curator.stages.text.io.reader.parquet import ParquetReader, ParquetReaderStage

__all__ = [
    "HtmlFileReader",
    "HtmlFileReaderStage",
    "JsonlReader",
    "JsonlReaderStage",
    "LancePartitioningStage",
    "LanceReader",
    "LanceReaderStage",
    "ParquetReader",
    "ParquetReaderStage",
    "TextFileReader",
    "TextFileReaderStage",
]

_MODULES = {"Html": "files", "Text": "files", "Json": "jsonl", "Lanc": "lance", "Parq": "parquet"}

__getattr__ = lazy_names(__name__, {name: _MODULES[name[:4]] for name in __all__})


def __dir__() -> list[str]:
    return sorted(__all__)
