"""Documents as tokens, in the binary format that Megatron-LM trains from."""

from __future__ import annotations

import logging
import posixpath
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nemo_curator.errors import OptionError, require
from nemo_curator.stages.text.io.writer.base import BaseWriter
from nemo_curator.stages.text.models.tokenizer import TokenizerHandle
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import DocumentBatch, FileGroupTask
from nemo_curator.utils.output_manifest import DigestingHandle, RunOutput, WrittenFile

__all__ = ["MegatronTokenizerWriter"]

_log = logging.getLogger(__name__)

_MAGIC = b"MMIDIDX\x00\x00"
_VERSION = 1
# Codes of the format for the type of a token. A vocabulary of 65,536 fits 16 bits.
_INT32, _UINT16 = 4, 8
_MOST_OF_16_BITS = 1 << 16
# Named by the constructor.
_RESERVED = {"cache_dir", "token", "local_files_only"}


@dataclass
class MegatronTokenizerWriter(BaseWriter):
    """Write the tokens of every batch as ``<prefix>.bin`` and ``<prefix>.idx``, a sequence for every document.

    The ``.bin`` has the tokens one after the other: 16 bits each, unsigned, or 32 bits, signed, where the vocabulary is larger than 65,536
    or of unknown size. The ``.idx`` has, little-endian: nine bytes of magic, version 1 (u64), the code of the type (u8), the numbers of
    sequences and of document indices (u64 each), lengths (int32), byte offsets (int64) and document indices (int64). Both appear
    together, the ``.idx`` last. Documents without a token, such as empty ones, are left out and counted as ``no_tokens``.

    The result names both files; its metadata has ``format``, ``file_prefix``, ``num_tokens``, ``token_size`` (bytes) and ``eod_token_id``.

    Attributes:
        model_identifier: A ``tokenizer.json``, a folder with one, or a name on the hub; required. See `TokenizerStage`.
        cache_dir: Where the hub's downloads are kept.
        hf_token: For models that need an agreement.
        text_field: Column of the text.
        tokenization_batch_size: Documents that are tokenized at a time.
        append_eod: End every document with the tokenizer's end-of-sequence token; without effect, after a warning, if it has none.
        transformers_init_kwargs: More arguments for ``AutoTokenizer.from_pretrained``.
    """

    file_extension: str = "bin"
    name: str = "megatron_tokenizer_writer"
    model_identifier: str | None = None
    cache_dir: str | None = None
    hf_token: str | None = None
    text_field: str = "text"
    tokenization_batch_size: int = 1000
    append_eod: bool = False
    transformers_init_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.model_identifier:
            message = f"stage {self.name!r} needs model_identifier: a tokenizer.json, a folder with one, or the name of a model"
            raise OptionError(message)
        if self.tokenization_batch_size < 1:
            message = (
                f"stage {self.name!r}: tokenization_batch_size must be 1 or more, got {self.tokenization_batch_size}"
            )
            raise OptionError(message)
        if reserved := sorted(_RESERVED & set(self.transformers_init_kwargs)):
            message = f"stage {self.name!r}: {', '.join(reserved)} cannot be among transformers_init_kwargs; cache_dir and hf_token are arguments"
            raise OptionError(message)
        options = {"cache_dir": self.cache_dir, "token": self.hf_token, **self.transformers_init_kwargs}
        self._tokenizer = TokenizerHandle(self.model_identifier, None, options)
        self._index: DigestingHandle | None = None
        self._tokens = 0

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the column of text."""
        return ["data"], [self.text_field]

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers: the tokenizer is loaded once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def check_before_run(self) -> None:
        """Raise `OutputError` if the folder cannot be written, `MissingExtra` or `InputError` if there is no such tokenizer."""
        super().check_before_run()
        if self._tokenizer.path is not None:
            require("tokenizers", extra="onnx", purpose=f"stage {self.name!r}")
            self._tokenizer.prepare()

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Make sure that the tokenizer is on this node."""
        self._tokenizer.prepare()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the tokenizer."""
        self._tokenizer.load()

    def commit_output(self, output: RunOutput) -> None:
        """Lay the manifest down; with ``mode="overwrite"`` remove what the run has not written."""
        self._folder.commit(output, replaces=(".bin", ".idx") if self.mode == "overwrite" else None)

    def process(self, task: DocumentBatch) -> FileGroupTask:
        """Write the batch; raises what `BaseWriter.process` raises."""
        written = super().process(task)
        prefix = str(written.data[0]).removesuffix(".bin")
        index, self._index = self._index, None
        assert index is not None
        self.record_written(WrittenFile(f"{prefix}.idx", 0, index.nbytes, index.sha256))
        facts = {
            "format": "megatron",
            "file_prefix": prefix,
            "num_tokens": self._tokens,
            "token_size": 2 if self._fits_16_bits() else 4,
            "eod_token_id": self._tokenizer.eos_id,
        }
        return FileGroupTask(task.dataset_name, [f"{prefix}.bin", f"{prefix}.idx"], _metadata=facts)

    def write_data(self, task: DocumentBatch, file_path: str) -> None:
        """Write the tokens to `file_path`, and the index beside it."""
        import numpy as np

        name = posixpath.basename(file_path)
        kind = np.dtype("<u2" if self._fits_16_bits() else "<i4")
        lengths: list[int] = []
        # Left from the inside out: the index appears when the tokens are there.
        with (
            self._folder.writing(f"{name.removesuffix('.bin')}.idx") as index,
            self._folder.writing(name) as tokens,
        ):
            for document in self._documents(Rows(task).texts(self.text_field, self.name)):
                lengths.append(len(document))
                tokens.write(np.asarray(document, dtype=kind).tobytes())
            index.write(_index(lengths, kind.itemsize))
        self._handle, self._index = tokens, index
        self._tokens = sum(lengths)

    def _documents(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield the tokens of the documents that have any."""
        end = self._end()
        for start in range(0, len(texts), self.tokenization_batch_size):
            batch = texts[start : start + self.tokenization_batch_size]
            for document in self._tokenizer.encode(batch, special_tokens=False):
                if document:
                    yield document + end
                else:
                    self.record_drops("no_tokens", 1)

    def _end(self) -> list[int]:
        if not self.append_eod:
            return []
        eos = self._tokenizer.eos_id
        if eos is None:
            _log.warning(
                "stage %r: the tokenizer of %s has no end-of-sequence token; documents are written without one",
                self.name,
                self.model_identifier,
            )
            return []
        return [eos]

    def _fits_16_bits(self) -> bool:
        size = self._tokenizer.vocabulary_size
        return size is not None and size <= _MOST_OF_16_BITS


def _index(lengths: Sequence[int], token_size: int) -> bytes:
    import numpy as np

    count = np.asarray(lengths, dtype="<i4")
    starts = np.concatenate([[0], np.cumsum(count, dtype=np.int64)[:-1]]) if len(count) else np.zeros(0)
    head = struct.pack("<QBQQ", _VERSION, _UINT16 if token_size == 2 else _INT32, len(count), len(count) + 1)
    offsets = (starts * token_size).astype("<i8")
    return _MAGIC + head + count.tobytes() + offsets.tobytes() + np.arange(len(count) + 1, dtype="<i8").tobytes()
