"""The articles in a dump of Wikipedia."""

from __future__ import annotations

import bz2
import gzip
import logging
import os
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import IO, Any, cast
from urllib.parse import quote

from nemo_curator.errors import DataError
from nemo_curator.stages.text.download.base import DocumentIterator
from nemo_curator.stages.text.download.wikipedia.url_generation import check_language
from nemo_curator.utils.xml_records import iter_xml_records

__all__ = ["WikipediaIterator"]

_log = logging.getLogger(__name__)


class WikipediaIterator(DocumentIterator):
    """Yields the articles of a dump in XML, compressed with bzip2 or gzip or not at all: no redirects, no other pages, none that is empty.

    Args:
        language: The language of that Wikipedia.
        log_frequency: Articles between two lines in the log; 0 for none.
    """

    def __init__(self, language: str = "en", log_frequency: int = 1000) -> None:
        self._language = check_language(language)
        self._log_frequency = log_frequency

    def output_columns(self) -> list[str]:
        """Return the keys of an article."""
        return ["title", "id", "url", "language", "source_id", "raw_content"]

    def iterate(self, file_path: str) -> Iterator[dict[str, Any]]:
        """Yield the articles: ``title``, ``id``, ``url``, ``language``, ``source_id`` (the name of the file), ``raw_content`` (wikitext).

        Raises:
            DataError: The file is damaged or ends too early; what is before that is yielded.
        """
        source = os.path.basename(file_path)
        count = 0
        try:
            with _open(file_path) as stream, closing(iter_xml_records(stream, "page", where=file_path)) as found:
                for page in found:
                    text = page.get("revision/text", "")
                    if page.get("ns") != "0" or "redirect" in page or not text.strip():
                        continue
                    count += 1
                    if self._log_frequency and count % self._log_frequency == 0:
                        _log.info("%d articles of %s", count, source)
                    yield self._article(page, source, text)
        except (EOFError, OSError, zlib.error) as error:
            if isinstance(error, FileNotFoundError):
                raise
            message = f"{file_path} is not compressed as it should be, or ends too early: {error}. Download it again"
            raise DataError(message) from error

    def _article(self, page: dict[str, str], source: str, text: str) -> dict[str, Any]:
        title = page.get("title", "")
        return {
            "title": title,
            "id": page.get("id", ""),
            "url": f"https://{self._language}.wikipedia.org/wiki/{quote(title.replace(' ', '_'))}",
            "language": self._language,
            "source_id": source,
            "raw_content": text,
        }


def _open(path: str) -> IO[bytes]:
    with open(path, "rb") as handle:
        magic = handle.read(3)
    if magic == b"BZh":
        return cast("IO[bytes]", bz2.open(path, "rb"))
    return cast("IO[bytes]", gzip.open(path, "rb")) if magic[:2] == b"\x1f\x8b" else open(path, "rb")
