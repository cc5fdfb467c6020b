"""`TokenizerStage`: tokens of texts as columns, for a `ModelStage` after it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from nemo_curator.errors import DataError, InputError, OptionError, require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.models.base import ModelHandle, check_file, digest_of_file
from nemo_curator.stages.text.models.batching import batches_by_length
from nemo_curator.stages.text.models.onnx import encode_texts, open_tokenizer
from nemo_curator.stages.text.utils.columns import with_columns
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import DocumentBatch

__all__ = ["ATTENTION_MASK_FIELD", "INPUT_IDS_FIELD", "SEQ_ORDER_FIELD", "TokenizerHandle", "TokenizerStage"]

INPUT_IDS_FIELD = "input_ids"
ATTENTION_MASK_FIELD = "attention_mask"
SEQ_ORDER_FIELD = "_curator_seq_order"
"""Column of the places that rows had before they were sorted by length."""


_USUAL_ENDS = ("<|endoftext|>", "</s>", "<|end_of_text|>", "<eos>", "<|im_end|>")


class TokenizerStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Writes the tokens of every text, and sorts the rows of a task by their number, so that a model pads little.

    Columns: ``input_ids``, a list of int32; ``attention_mask``, a list of int8, ones throughout, as nothing is padded before a batch for
    the model is made; and, if rows are sorted, ``_curator_seq_order``, by which `ModelStage` puts them back. A missing text counts as an
    empty one, whose tokens are the tokenizer's special ones, if it has any.

    Args:
        model_identifier: A ``tokenizer.json`` of Hugging Face tokenizers, an ONNX graph or a folder with one beside or in it (extra
            ``onnx``); else the name of a model on the hub (extra ``tokenizers``).
        cache_dir: Where the hub's downloads are kept.
        hf_token: For models that need an agreement.
        text_field: Column of the text.
        max_chars: How much of a text is looked at.
        max_seq_length: Tokens after which a text is cut, special ones included; the tokenizer's own limit by default.
        padding_side: Where `ModelStage` shall fill up. Nothing is filled up here; kept for stages that ask.
        sort_by_length: Sort the rows, the longest first.
        unk_token: Not needed, and without effect: it would be the padding of tokenizers that have none.
        transformers_init_kwargs: More arguments for ``AutoTokenizer.from_pretrained``.

    Raises:
        OptionError: A limit below 1, another side than left or right.
    """

    outputs_are_complete = True

    def __init__(
        self,
        model_identifier: str,
        cache_dir: str | None = None,
        hf_token: str | None = None,
        text_field: str = "text",
        max_chars: int | None = None,
        max_seq_length: int | None = None,
        padding_side: Literal["left", "right"] = "right",
        sort_by_length: bool = True,
        unk_token: bool = False,
        transformers_init_kwargs: Mapping[str, Any] | None = None,
        *,
        name: str = "tokenizer",
    ) -> None:
        check_padding_side(padding_side)
        for what, limit in (("max_chars", max_chars), ("max_seq_length", max_seq_length)):
            if limit is not None and limit < 1:
                message = f"{what} must be 1 or more, or None; got {limit}"
                raise OptionError(message)
        self.model_identifier = model_identifier
        self.text_field = text_field
        self.max_chars = max_chars
        self.padding_side = padding_side
        self.sort_by_length = sort_by_length
        self.unk_token = unk_token
        self.name = name
        self._tokenizer = TokenizerHandle(
            model_identifier,
            max_seq_length,
            {"cache_dir": cache_dir, "token": hf_token, **(transformers_init_kwargs or {})},
        )

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the column of text."""
        return ["data"], [self.text_field]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of tokens, of the mask and, if rows are sorted, of their order."""
        order = [SEQ_ORDER_FIELD] if self.sort_by_length else []
        return ["data"], [INPUT_IDS_FIELD, ATTENTION_MASK_FIELD, *order]

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers: the tokenizer is loaded once in each."""
        return {**super().ray_stage_spec(), "is_actor_stage": True}

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Make sure that the tokenizer is on this node."""
        self._tokenizer.prepare()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the tokenizer."""
        self._tokenizer.load()

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch with the columns, its rows sorted by their number of tokens if that is asked for."""
        import pyarrow as pa

        texts = Rows(task).texts(self.text_field, self.name)
        rows = self._tokenizer.encode([text[: self.max_chars] for text in texts])
        columns = {
            INPUT_IDS_FIELD: pa.array(rows, pa.list_(pa.int32())),
            ATTENTION_MASK_FIELD: pa.array([[1] * len(tokens) for tokens in rows], pa.list_(pa.int8())),
        }
        if not self.sort_by_length:
            return with_columns(task, columns)
        columns[SEQ_ORDER_FIELD] = pa.array(range(len(rows)), pa.int64())
        batch = Rows(with_columns(task, columns))
        batch.take(next(batches_by_length(rows, max(len(rows), 1)), []))
        return batch.to_batch()


class TokenizerHandle(ModelHandle):
    """A tokenizer in a file or folder, or of a model on the hub.

    Args:
        identifier: See `TokenizerStage`.
        max_tokens: Tokens after which a text is cut; the tokenizer's own limit by default.
        options: Arguments for ``AutoTokenizer.from_pretrained``.
    """

    def __init__(self, identifier: str, max_tokens: int | None, options: Mapping[str, Any]) -> None:
        self.identifier = str(identifier)
        self.max_tokens = max_tokens
        self.options = dict(options)
        self.path = _local_tokenizer(Path(identifier))
        self.digest = None if self.path is None else digest_of_file(self.path)

    def prepare(self) -> None:
        """Look whether the file is there, or fetch what the hub has."""
        if self.path is not None:
            check_file(self.path, "the tokenizer")
        else:
            self._load()

    def _load(self) -> Any:
        if self.path is not None:
            return open_tokenizer(self.path, self.max_tokens)
        require("transformers", extra="tokenizers", purpose=f"the tokenizer of {self.identifier!r}")
        from transformers import AutoTokenizer  # pyright: ignore[reportAttributeAccessIssue] - an extra

        try:
            return AutoTokenizer.from_pretrained(self.identifier, trust_remote_code=False, **self.options)
        except OSError as error:
            message = f"the tokenizer of {self.identifier!r} is neither in a folder nor to be had from the hub: {error}"
            raise InputError(message) from error

    def encode(self, texts: Sequence[str], *, special_tokens: bool = True) -> list[list[int]]:
        """Return the tokens of every text, with those that the tokenizer puts around a text or without."""
        if self.path is not None:
            return encode_texts(self.model, texts, special_tokens=special_tokens)
        if not texts:
            return []
        sound = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        limit = {"truncation": True, "max_length": self.max_tokens} if special_tokens else {}
        return self.model(sound, add_special_tokens=special_tokens, **limit)["input_ids"]

    @property
    def vocabulary_size(self) -> int | None:
        """The number of tokens, those that were added included; `None` if the tokenizer does not say. Loads it."""
        if self.path is not None:
            return self.model.get_vocab_size(with_added_tokens=True)
        return len(self.model) if hasattr(self.model, "__len__") else None

    @property
    def eos_id(self) -> int | None:
        """The token that ends a text; `None` if there is none. Loads the tokenizer.

        A ``tokenizer.json`` does not say which it is: the ``tokenizer_config.json`` beside it does, or else the usual names are looked for.
        """
        if self.path is None:
            return self.model.eos_token_id
        said = _named_end(Path(self.path).parent / "tokenizer_config.json")
        ids = [self.model.token_to_id(name) for name in ([said] if said else _USUAL_ENDS)]
        return next((number for number in ids if number is not None), None)


def _named_end(config: Path) -> str | None:
    """Return the name of the token that ends a text, as a tokenizer's configuration has it: a string, or an object with its content."""
    try:
        named = json.loads(config.read_text(encoding="utf-8")).get("eos_token")
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError) as error:
        message = f"{config} is not the configuration of a tokenizer: {error}"
        raise DataError(message) from error
    return named.get("content") if isinstance(named, dict) else named


def check_padding_side(side: str) -> None:
    """Raise `OptionError` unless `side` is left or right."""
    if side not in {"left", "right"}:
        message = f"padding_side must be 'left' or 'right', got {side!r}"
        raise OptionError(message)


def _local_tokenizer(path: Path) -> str | None:
    """Return the path of the tokenizer's file; `None` for what can only be a name on the hub."""
    if path.suffix == ".json":
        return str(path)
    if path.suffix == ".onnx":
        return str(path.parent / "tokenizer.json")
    return str(path / "tokenizer.json") if (path / "tokenizer.json").is_file() else None
