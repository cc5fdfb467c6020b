"""`CommonCrawlHTMLExtractor`: the text of a page, with its language."""

from __future__ import annotations

import logging
from typing import Any

from nemo_curator.errors import CuratorError, OptionError, did_you_mean
from nemo_curator.stages.text.download.base import DocumentExtractor
from nemo_curator.stages.text.download.html_extractors import (
    HTMLExtractorAlgorithm,
    JusTextExtractor,
    ResiliparseExtractor,
    TrafilaturaExtractor,
)
from nemo_curator.stages.text.download.html_extractors.languages import PageLanguage, shared_stop_lists
from nemo_curator.stages.text.utils.decoding import decode

__all__ = ["CommonCrawlHTMLExtractor", "make_algorithm"]

_log = logging.getLogger(__name__)

_ALGORITHMS: dict[str, type[HTMLExtractorAlgorithm]] = {
    "justext": JusTextExtractor,
    "resiliparse": ResiliparseExtractor,
    "trafilatura": TrafilaturaExtractor,
}


def make_algorithm(
    algorithm: HTMLExtractorAlgorithm | str | None, algorithm_kwargs: dict[str, Any] | None = None
) -> HTMLExtractorAlgorithm:
    """Return an algorithm by its name (jusText for `None`), made with these arguments; or the one that is given.

    Raises:
        OptionError: No such algorithm, or arguments for one that is made already; a `ValueError`.
    """
    if isinstance(algorithm, HTMLExtractorAlgorithm):
        if algorithm_kwargs:
            message = f"arguments for {type(algorithm).__name__} have no effect, as it is made already; give them to its constructor"
            raise OptionError(message)
        return algorithm
    name = "justext" if algorithm is None else algorithm
    if not isinstance(name, str) or name not in _ALGORITHMS:  # pyright: ignore[reportUnnecessaryIsInstance] - user input
        hint = did_you_mean(str(name), _ALGORITHMS)
        message = f"HTML extraction {name!r} is not known; known: {', '.join(_ALGORITHMS)}, or an HTMLExtractorAlgorithm.{hint}"
        raise OptionError(message)
    return _ALGORITHMS[name](**(algorithm_kwargs or {}))


class CommonCrawlHTMLExtractor(DocumentExtractor):
    """Recognises the language of a page and takes its text out. Picklable; models and lists are loaded at the first page.

    There is no document in a page without text, or in a language that has no stop list.

    Args:
        algorithm: ``"justext"`` (as is `None`), ``"resiliparse"``, ``"trafilatura"``, or an algorithm.
        algorithm_kwargs: Arguments of the algorithm, when it is given by name.
        stop_lists: The commonest words, in lower case, by the name of the language in capitals: ``{"ENGLISH": frozenset(...)}``.
            Pages in other languages are left out. By default those of jusText, about a hundred.
    """

    def __init__(
        self,
        algorithm: HTMLExtractorAlgorithm | str | None = None,
        algorithm_kwargs: dict[str, Any] | None = None,
        stop_lists: dict[str, frozenset[str]] | None = None,
    ) -> None:
        self.algorithm = make_algorithm(algorithm, algorithm_kwargs)
        self._given_lists = (
            None if stop_lists is None else {name: frozenset(words) for name, words in stop_lists.items()}
        )
        self._language = PageLanguage()

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if a package is not installed."""
        self.algorithm.check_before_run()
        self._language.check_before_run()
        self._lists()

    def input_columns(self) -> list[str]:
        """Return what the WARC iterator gives."""
        return ["url", "warc_id", "source_id", "content"]

    def output_columns(self) -> list[str]:
        """Return the columns of documents."""
        return ["url", "warc_id", "source_id", "language", "text"]

    def extract(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """Return the document of a page, paragraphs with a blank line between them; `None` if there is none."""
        content = record["content"]
        html = content if isinstance(content, str) else decode(content, html=True, errors="replace")
        language = self._language.name_of(html)
        stop_words = None if language is None else self._lists().get(language)
        if language is None or stop_words is None:
            return None
        try:
            paragraphs = self.algorithm.extract_text(html, stop_words, language)
        except (CuratorError, MemoryError, ImportError):
            raise
        # Parsers stumble over some pages of a billion, each in its own way; the others shall not be lost for it.
        except Exception as error:
            _log.warning("no text from %s: %s: %s", record["url"], type(error).__name__, error)
            return None
        if not paragraphs:
            return None
        kept = {name: record[name] for name in ("url", "warc_id", "source_id")}
        return {**kept, "language": language, "text": "\n\n".join(paragraphs)}

    def _lists(self) -> dict[str, frozenset[str]]:
        return shared_stop_lists() if self._given_lists is None else self._given_lists
