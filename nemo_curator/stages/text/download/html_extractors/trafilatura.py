"""Trafilatura: a cascade of rules and fall-backs; the most exact and the slowest."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any

from nemo_curator.errors import require
from nemo_curator.stages.text.download.html_extractors.base import HTMLExtractorAlgorithm, with_enough_stop_words

__all__ = ["TrafilaturaExtractor"]


class TrafilaturaExtractor(HTMLExtractorAlgorithm):
    """The text extraction of the package ``trafilatura``.

    Args:
        required_stopword_density: Share of stop words that a paragraph must have.
        min_extracted_size: Characters below which the fall-backs are tried.
        min_extracted_comm_size: The same for comments.
        min_output_size: Characters below which there is no text.
        min_output_comm_size: The same for comments.
        max_tree_size: Elements above which a page is left out; `None` for any.
        min_duplcheck_size: Characters from which a paragraph is looked up among those before, when ``deduplicate=True`` is given.
        max_repetitions: How often such a paragraph may occur in a page.
        **extract_kwargs: More arguments of ``trafilatura.extract``, such as ``favor_precision=True``.
    """

    def __init__(
        self,
        required_stopword_density: float = 0.32,
        min_extracted_size: int = 250,
        min_extracted_comm_size: int = 1,
        min_output_size: int = 1,
        min_output_comm_size: int = 1,
        max_tree_size: int | None = None,
        min_duplcheck_size: int = 100,
        max_repetitions: int = 2,
        **extract_kwargs: Any,
    ) -> None:
        self._density = required_stopword_density
        self._settings = {
            "MIN_EXTRACTED_SIZE": str(min_extracted_size),
            "MIN_EXTRACTED_COMM_SIZE": str(min_extracted_comm_size),
            "MIN_OUTPUT_SIZE": str(min_output_size),
            "MIN_OUTPUT_COMM_SIZE": str(min_output_comm_size),
            "MAX_TREE_SIZE": "" if max_tree_size is None else str(max_tree_size),
            "MIN_DUPLCHECK_SIZE": str(min_duplcheck_size),
            "MAX_REPETITIONS": str(max_repetitions),
        }
        self._extract_kwargs = extract_kwargs

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if the package is not installed."""
        require("trafilatura", extra="text-download", purpose=type(self).__name__)

    def extract_text(self, html: str, stop_words: frozenset[str], language: str) -> list[str] | None:
        """Return the paragraphs with enough stop words."""
        self.check_before_run()
        import trafilatura
        from trafilatura.deduplication import LRUCache

        options = dict(self._extract_kwargs)
        if options.get("deduplicate") is True:
            # The package's own memory is of all pages so far: what a page gives would depend on what came before it.
            options["deduplicate"] = LRUCache(maxsize=4096)
        text = trafilatura.extract(html, config=_configuration(tuple(self._settings.items())), **options)
        return with_enough_stop_words(text.split("\n"), stop_words, language, self._density) if text else None


@lru_cache(maxsize=8)
def _configuration(settings: tuple[tuple[str, str], ...]) -> Any:
    from trafilatura.settings import DEFAULT_CONFIG

    config = copy.deepcopy(DEFAULT_CONFIG)
    config["DEFAULT"].update(settings)
    return config
