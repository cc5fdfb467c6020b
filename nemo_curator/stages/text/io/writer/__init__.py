"""Writers of text. Importing this package imports none of them, nor pandas or pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.stages.text.io.writer.jsonl import JsonlWriter
    from nemo_curator.stages.text.io.writer.lance import LanceWriter, commit_lance_checkpoint
    from nemo_curator.stages.text.io.writer.megatron_tokenizer import MegatronTokenizerWriter
    from nemo_curator.stages.text.io.writer.parquet import ParquetWriter

__all__ = ["JsonlWriter", "LanceWriter", "MegatronTokenizerWriter", "ParquetWriter", "commit_lance_checkpoint"]

_MODULES = {
    "JsonlWriter": "jsonl",
    "LanceWriter": "lance",
    "MegatronTokenizerWriter": "megatron_tokenizer",
    "ParquetWriter": "parquet",
    "commit_lance_checkpoint": "lance",
}

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
