"""A rule about how well a tokenizer knows a text."""

from __future__ import annotations

from typing import Any

from nemo_curator.errors import require
from nemo_curator.stages.text.filters.base import DocumentFilter
from nemo_curator.stages.text.models.base import ModelHandle, check_file, digest_of_file

__all__ = ["TokenizerFertilityFilter"]


class TokenizerFertilityFilter(DocumentFilter):
    """Keeps texts that a SentencePiece tokenizer cuts into long tokens; short ones are a sign of data rather than code.

    Args:
        path_to_tokenizer: File of the SentencePiece model.
        min_char_to_token_ratio: Lowest number of characters per token that is kept.

    Raises:
        ValueError: No path.
        MissingExtra: SentencePiece is not installed.
    """

    _name = "tokenizer_fertility"

    def __init__(self, path_to_tokenizer: str | None = None, min_char_to_token_ratio: float = 2.5) -> None:
        if not path_to_tokenizer:
            message = "TokenizerFertilityFilter needs path_to_tokenizer, the file of a SentencePiece model"
            raise ValueError(message)
        require("sentencepiece", extra="tokenizers", purpose="TokenizerFertilityFilter")
        self._tokenizer = _SentencePiece(path_to_tokenizer)
        self._min = min_char_to_token_ratio

    def model_check_or_download(self) -> None:
        """Look whether the model is on this machine.

        Raises:
            InputError: It is not; a `FileNotFoundError`.
        """
        self._tokenizer.prepare()

    def load_tokenizer(self) -> None:
        """Load the model. Once per worker."""
        self._tokenizer.load()

    def score_document(self, text: str) -> float:
        """Return the characters per token; -1 where there is no token."""
        # The tokenizer knows no lone surrogates.
        tokens = self._tokenizer.model.encode(text.encode("utf-8", "replace").decode("utf-8"))
        return len(text) / len(tokens) if tokens else -1.0

    def keep_document(self, scores: float) -> bool:
        """Keep from the limit on."""
        return scores >= self._min


class _SentencePiece(ModelHandle):
    """A SentencePiece model in a file."""

    def __init__(self, path: str) -> None:
        self.path = str(path)
        self.digest = digest_of_file(self.path)

    def prepare(self) -> None:
        check_file(self.path, "the SentencePiece model")

    def _load(self) -> Any:
        self.prepare()
        import sentencepiece  # pyright: ignore[reportMissingImports] - an extra

        return sentencepiece.SentencePieceProcessor(model_file=self.path)
