"""`MinHashStage`: writes the MinHash signature of every document."""

from __future__ import annotations

import logging
from typing import Any

from nemo_curator.errors import OptionError, require
from nemo_curator.stages.deduplication.columns import id_column, text_column
from nemo_curator.stages.deduplication.fuzzy.signatures import MinHasher
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.deduplication.parts import PartFolder, PartWriter
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import DocumentBatch, FileGroupTask
from nemo_curator.utils.arrow_arrays import arrow_array

__all__ = ["SIGNATURE", "MinHashStage"]

_log = logging.getLogger(__name__)

SIGNATURE = "_minhash_signature"
"""The column of signatures."""
_FEW_CHARACTERS = 20
_ROW_GROUP = 16384


class MinHashStage(PartWriter[DocumentBatch]):
    """Write, for every batch, ``<task id>.parquet`` with id and signature of every document.

    A text that is shorter than an n-gram is hashed as a whole: it is a duplicate of equal texts only. Documents without a text are left
    out, and so are never duplicates; empty texts are equal.

    Args:
        output_path: The folder for the files.
        text_field: Column of the text.
        id_field: Column of the ids, whole numbers.
        char_ngrams: Characters in an n-gram.
        num_hashes: Numbers in a signature.
        seed: Of the hash functions.
        normalize_text: Make texts lower case, and every run of white space one space.
        use_64_bit_hash: Numbers of 61 bits instead of 31; it takes five to eight times as long, and twice the space.
        storage_options: For the filesystem of a URL.
        name: Name of the stage.

    Raises:
        OptionError: A number that is not possible.
    """

    def __init__(
        self,
        output_path: str,
        text_field: str = "text",
        id_field: str = CURATOR_DEDUP_ID_STR,
        char_ngrams: int = 24,
        num_hashes: int = 260,
        seed: int = 42,
        normalize_text: bool = False,
        use_64_bit_hash: bool = False,
        storage_options: dict[str, Any] | None = None,
        name: str = "minhash",
    ) -> None:
        if char_ngrams < 1 or num_hashes < 1:
            message = (
                f"stage {name!r}: char_ngrams and num_hashes must be at least 1, got {char_ngrams} and {num_hashes}"
            )
            raise OptionError(message)
        if not 0 <= seed < 2**32:
            message = f"stage {name!r}: seed must be from 0 to 2**32 - 1, got {seed}"
            raise OptionError(message)
        if char_ngrams < _FEW_CHARACTERS:
            _log.warning(
                "stage %r: texts have many n-grams of %d characters in common by chance; with fewer than %d expect false positives",
                name,
                char_ngrams,
                _FEW_CHARACTERS,
            )
        self.folder = PartFolder.at(output_path, storage_options=storage_options)
        self.text_field = text_field
        self.id_field = id_field
        self.char_ngrams = char_ngrams
        self.num_hashes = num_hashes
        self.seed = seed
        self.normalize_text = normalize_text
        self.use_64_bit_hash = use_64_bit_hash
        self.name = name
        self._hasher: MinHasher | None = None

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of text and ids."""
        return ["data"], [self.text_field, self.id_field]

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if the packages that it needs are not installed."""
        for package in ("numpy", "pyarrow"):
            require(package, extra="dedup", purpose=f"stage {self.name!r}")

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Draw the hash functions."""
        self._hasher = MinHasher(self.num_hashes, self.char_ngrams, self.seed, self.use_64_bit_hash)

    def teardown(self) -> None:
        """Forget them."""
        self._hasher = None

    def process(self, task: DocumentBatch) -> FileGroupTask:
        """Write the signatures of a batch.

        Raises:
            DataError: The text is not text, or documents lack ids or share them.
        """
        import pyarrow as pa

        if self._hasher is None:
            self.setup()
        assert self._hasher is not None
        texts = text_column(task, self.text_field, self.name, normalize=self.normalize_text)
        ids = id_column(task, self.id_field, self.name)
        there = texts.is_valid()
        flat = arrow_array(self._hasher.signatures(texts.filter(there)).reshape(-1))
        # The type says nothing of the length, so that any reader of Parquet reads it; all have the same.
        lists = pa.FixedSizeListArray.from_arrays(flat, self.num_hashes).cast(pa.list_(flat.type))
        table = pa.table({self.id_field: ids.filter(there), SIGNATURE: lists})
        options: dict[str, Any] = {"row_group_size": _ROW_GROUP, "use_dictionary": False, "compression": "none"}
        return self.folder.write(task.task_id or task.dataset_name, table, self, **options)
