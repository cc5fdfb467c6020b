"""A rule about how well a tokenizer knows a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nemo_curator.errors import InputError, require
from nemo_curator.stages.text.filters.base import DocumentFilter

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
        self._path = str(path_to_tokenizer)
        self._min = min_char_to_token_ratio
        self._tokenizer: Any = None

    def model_check_or_download(self) -> None:
        """Look whether the model is on this machine.

        Raises:
            InputError: It is not; a `FileNotFoundError`.
        """
        if not Path(self._path).is_file():
            message = f"there is no SentencePiece model at {self._path}"
            raise InputError(message)

    def load_tokenizer(self) -> None:
        """Load the model. Once per worker."""
        self._load()

    def score_document(self, text: str) -> float:
        """Return the characters per token; -1 where there is no token."""
        tokenizer = self._tokenizer or self._load()
        # The tokenizer knows no lone surrogates.
        tokens = tokenizer.encode(text.encode("utf-8", "replace").decode("utf-8"))
        return len(text) / len(tokens) if tokens else -1.0

    def keep_document(self, scores: float) -> bool:
        """Keep from the limit on."""
        return scores >= self._min

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tokenizer": None}

    def _load(self) -> Any:
        self.model_check_or_download()
        import sentencepiece  # pyright: ignore[reportMissingImports] - an extra

        self._tokenizer = sentencepiece.SentencePieceProcessor(model_file=self._path)
        return self._tokenizer
