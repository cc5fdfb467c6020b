"""`DocumentAccounting`: how many documents, characters, bytes and tokens pass here."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nemo_curator.errors import InputError, OptionError, require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.models.base import ModelHandle, digest_of_file
from nemo_curator.stages.text.utils.columns import with_columns
from nemo_curator.stages.text.utils.rows import Rows
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import DocumentBatch
from nemo_curator.utils.arrow_arrays import arrow_array

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DocumentAccounting", "TekkenCounter", "TokenCounter"]


class TokenCounter(ModelHandle):
    """Counts the tokens of texts. Loaded once per worker, like a model."""

    @abstractmethod
    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, without any that mark its beginning or end."""


class TekkenCounter(TokenCounter):
    """The tokenizer of Mistral NeMo, byte-level BPE with 131,072 tokens, as mistral-common ships it.

    Args:
        path: Another Tekken file.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else str(path)
        self.digest = None if self.path is None else digest_of_file(self.path)

    def prepare(self) -> None:
        """Look whether the package and the file are there."""
        require("mistral_common", extra="tokens", purpose="counting tokens")
        if not Path(self._file()).is_file():
            message = f"there is no Tekken file at {self._file()}"
            raise InputError(message)

    def _file(self) -> str:
        package = find_spec("mistral_common")
        if self.path is not None or package is None or package.origin is None:
            return self.path or ""
        return str(Path(package.origin).parent / "data" / "tekken_240911.json")

    def _load(self) -> Any:
        self.prepare()
        from mistral_common.tokens.tokenizers.tekken import (  # pyright: ignore[reportMissingImports] - an extra
            Tekkenizer,
        )

        return Tekkenizer.from_file(self._file())

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has. A lone surrogate counts as a question mark."""
        encode = self.model.encode
        return [len(encode(text.encode("utf-8", "replace").decode("utf-8"), bos=False, eos=False)) for text in texts]


class DocumentAccounting(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Counts what passes, and lets it pass. Put one where you want to know.

    Logs the metrics ``documents``, ``blank_documents`` (missing or white space), ``characters`` (Unicode code points), ``bytes`` (of
    UTF-8) and, with a tokenizer, ``tokens``. They are in the tasks' `_stage_perf` under the stage's name; `TaskPerfUtils` sums them.

    Args:
        tokenizer: ``tekken``, a `TokenCounter`, or a picklable function from a text to its number of tokens; `None` counts none.
        text_field: Column of the text.
        characters_field: Column for the characters of each document; `None` for none.
        tokens_field: Column for its tokens; `None` for none.
        name: Name of the stage. Several in one pipeline are told apart by it.
    """

    outputs_are_complete = True

    def __init__(
        self,
        tokenizer: Literal["tekken"] | TokenCounter | Callable[[str], int] | None = None,
        *,
        text_field: str = "text",
        characters_field: str | None = None,
        tokens_field: str | None = None,
        name: str = "accounting",
    ) -> None:
        if isinstance(tokenizer, str) and tokenizer != "tekken":
            message = f"there is no tokenizer {tokenizer!r}; there is 'tekken', or give a TokenCounter or a function"
            raise OptionError(message)
        if tokens_field and tokenizer is None:
            message = f"tokens_field={tokens_field!r} needs a tokenizer: tokenizer='tekken'"
            raise OptionError(message)
        self.tokenizer = TekkenCounter() if isinstance(tokenizer, str) else tokenizer
        self.text_field = text_field
        self.characters_field = characters_field
        self.tokens_field = tokens_field
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the column of text."""
        return ["data"], [self.text_field]

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return the columns of counts, if there are any."""
        return ["data"], [column for column in (self.characters_field, self.tokens_field) if column]

    def ray_stage_spec(self) -> dict[str, Any]:
        """Ask for long-lived workers if there is a tokenizer to load into them."""
        return {**super().ray_stage_spec(), "is_actor_stage": isinstance(self.tokenizer, TokenCounter)}

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Look whether the tokenizer is there."""
        if isinstance(self.tokenizer, TokenCounter):
            self.tokenizer.prepare()

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the tokenizer."""
        if isinstance(self.tokenizer, TokenCounter):
            self.tokenizer.load()

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Return the batch, with columns of counts if they are asked for."""
        import pyarrow as pa

        texts = Rows(task).texts(self.text_field, self.name)
        characters, tokens = [len(text) for text in texts], self._tokens(texts)
        self._log_metrics(
            {
                "documents": len(texts),
                "blank_documents": sum(not text or text.isspace() for text in texts),
                "characters": sum(characters),
                "bytes": sum(len(text.encode("utf-8", "surrogatepass")) for text in texts),
            }
        )
        columns: dict[str, pa.Array] = {}
        if self.characters_field:
            columns[self.characters_field] = arrow_array(characters, pa.int64())
        if tokens is not None:
            self._log_metric("tokens", sum(tokens))
        if self.tokens_field and tokens is not None:
            columns[self.tokens_field] = arrow_array(tokens, pa.int64())
        return with_columns(task, columns) if columns else task

    def _tokens(self, texts: Sequence[str]) -> list[int] | None:
        if self.tokenizer is None:
            return None
        if isinstance(self.tokenizer, TokenCounter):
            return self.tokenizer.count(texts)
        return [self.tokenizer(text) for text in texts]
