"""The papers in an archive of arXiv. Nothing is unpacked to disk."""

from __future__ import annotations

import io
import logging
import os
import posixpath
import re
import tarfile
from collections.abc import Iterator
from typing import Any

from nemo_curator.errors import DataError
from nemo_curator.stages.text.download.base import DocumentIterator
from nemo_curator.utils.archives import ArchiveLimits, gunzip, iter_tar_files

__all__ = ["PAPER_LIMITS", "ArxivIterator", "arxiv_id"]

_log = logging.getLogger(__name__)

PAPER_LIMITS = ArchiveLimits(max_members=20_000, max_file_bytes=1 << 28, max_total_bytes=1 << 29)
"""Papers have figures of many megabytes, but none has half a gigabyte."""

_OLD_ID = re.compile(r"([a-zA-Z.-]+)(\d{7})")
_BLOCK = 512


class ArxivIterator(DocumentIterator):
    """Yields the papers of an archive that have TeX sources.

    A paper is a gzip file: of an archive, or of one TeX file. One that is damaged, or larger than the limits, is left out with
    a warning; those that are PDF only are left out too. Links are not followed, and nothing is written.

    Args:
        log_frequency: Papers between two lines in the log; 0 for none.
        limits: How large a paper may be, unpacked.
    """

    def __init__(self, log_frequency: int = 1000, limits: ArchiveLimits = PAPER_LIMITS) -> None:
        self._log_frequency = log_frequency
        self._limits = limits

    def output_columns(self) -> list[str]:
        """Return the keys of a paper."""
        return ["id", "source_id", "content"]

    def iterate(self, file_path: str) -> Iterator[dict[str, Any]]:
        """Yield the papers: ``id``, ``source_id`` (the name of the archive) and ``content`` (its TeX files, a list of texts).

        Raises:
            DataError: The archive is damaged; the papers before that are yielded.
        """
        source = os.path.basename(file_path)
        count = 0
        with open(file_path, "rb") as stream:
            for name, data in iter_tar_files(stream, file_path):
                if not name.endswith(".gz"):
                    continue
                try:
                    texts = self._texts(data, f"{name} in {file_path}")
                except DataError as error:
                    _log.warning("a paper is left out: %s", error)
                    continue
                if not texts:
                    continue
                count += 1
                if self._log_frequency and count % self._log_frequency == 0:
                    _log.info("%d papers of %s", count, source)
                yield {"id": arxiv_id(name), "source_id": source, "content": texts}

    def _texts(self, data: bytes, where: str) -> list[str]:
        content = gunzip(data, self._limits.max_total_bytes, where)
        if not _is_tar(content):
            return [] if content.startswith((b"%PDF", b"%!PS")) else [_decode(content)]
        files = iter_tar_files(io.BytesIO(content), where, self._limits)
        return [_decode(inner) for name, inner in files if name.lower().endswith(".tex")]


def arxiv_id(name: str) -> str:
    """Return the identifier of a paper: ``1503.00001`` of ``1503/1503.00001.gz``, ``hep-th/9901001`` of ``9901/hep-th9901001.gz``."""
    stem = posixpath.basename(name).removesuffix(".gz")
    old = _OLD_ID.fullmatch(stem)
    return f"{old[1]}/{old[2]}" if old else stem


def _is_tar(content: bytes) -> bool:
    # The oldest archives have no magic word, but all have a checksum in their first block.
    try:
        tarfile.TarInfo.frombuf(content[:_BLOCK], tarfile.ENCODING, "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")
