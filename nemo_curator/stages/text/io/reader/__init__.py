"""Readers of text. Importing this package imports none of them, nor pandas or pyarrow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemo_curator.stages.text.io.reader.jsonl import JsonlReader, JsonlReaderStage
    from nemo_curator.stages.text.io.reader.parquet import ParquetReader, ParquetReaderStage

__all__ = ["JsonlReader", "JsonlReaderStage", "ParquetReader", "ParquetReaderStage"]

_MODULES = {name: "jsonl" if name.startswith("Jsonl") else "parquet" for name in __all__}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
