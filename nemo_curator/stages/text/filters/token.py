"""A rule about the number of tokens that a model would see."""

from __future__ import annotations

import math
from typing import Any

from nemo_curator.errors import require
from nemo_curator.stages.text.filters.base import DocumentFilter
from nemo_curator.stages.text.models.base import ModelHandle

__all__ = ["TokenCountFilter"]


class TokenCountFilter(DocumentFilter):
    """Keeps texts with a number of tokens within limits, the special tokens at both ends not counted.

    The report counts what is dropped as ``token_count_low`` and ``token_count_high``.

    Args:
        tokenizer: A tokenizer with ``encode(text, add_special_tokens=False)``, as those of Hugging Face; it travels to the workers.
        hf_model_name: Name or folder of a model on the Hugging Face hub, whose tokenizer every worker loads.
        hf_token: Access token for the hub.
        min_tokens: Fewest tokens that are kept.
        max_tokens: Most.
        transformers_init_kwargs: Further arguments of ``AutoTokenizer.from_pretrained``.

    Raises:
        ValueError: Both `tokenizer` and `hf_model_name`, or neither.
        MissingExtra: A name was given, and transformers is not installed.
    """

    _name = "token_count"

    def __init__(
        self,
        tokenizer: Any = None,
        hf_model_name: str | None = None,
        hf_token: str | None = None,
        min_tokens: float = 0,
        max_tokens: float = math.inf,
        transformers_init_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if (tokenizer is None) == (hf_model_name is None):
            message = "TokenCountFilter needs either tokenizer or hf_model_name, and not both"
            raise ValueError(message)
        if hf_model_name is not None:
            require("transformers", extra="tokenizers", purpose="TokenCountFilter with hf_model_name")
        self._given = tokenizer
        self._named = None
        if hf_model_name is not None:
            self._named = _HubTokenizer(hf_model_name, hf_token, dict(transformers_init_kwargs or {}))
        self._min, self._max = min_tokens, max_tokens

    def model_check_or_download(self) -> None:
        """Fetch the tokenizer's files from the hub, unless they are here. Once per stage and node."""
        if self._named is not None:
            self._named.prepare()

    def load_tokenizer(self) -> None:
        """Load the tokenizer. Once per worker."""
        if self._named is not None:
            self._named.load()

    def score_document(self, text: str) -> int:
        """Return the number of tokens."""
        tokenizer = self._given if self._named is None else self._named.model
        # Tokenizers know no lone surrogates.
        return len(tokenizer.encode(text.encode("utf-8", "replace").decode("utf-8"), add_special_tokens=False))

    def keep_document(self, scores: int) -> bool:
        """Keep within the limits, both included."""
        return self._min <= scores <= self._max

    def drop_reason(self, score: int) -> str:
        """Say on which side of the limits the number is."""
        return f"{self.name}_{'low' if score < self._min else 'high'}"


class _HubTokenizer(ModelHandle):
    """The tokenizer of a model on the hub, or in a folder."""

    def __init__(self, name: str, token: str | None, options: dict[str, Any]) -> None:
        self.name = name
        self.token = token
        self.options = options

    def prepare(self) -> None:
        self._load()

    def _load(self) -> Any:
        from transformers import AutoTokenizer  # pyright: ignore[reportMissingImports] - an extra

        return AutoTokenizer.from_pretrained(self.name, token=self.token, **self.options)
