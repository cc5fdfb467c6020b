"""Which archives the sources of arXiv consist of."""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Mapping
from typing import Any, cast

from nemo_curator.errors import DataError, IndexUnavailable
from nemo_curator.stages.text.download.base import URLGenerator
from nemo_curator.stages.text.download.base.index import INDEX_POLICY, fetch_index
from nemo_curator.stages.text.download.base.transfer import require_s3
from nemo_curator.utils.file_utils import get_fs
from nemo_curator.utils.http_fetch import HttpPolicy
from nemo_curator.utils.xml_records import iter_xml_records

__all__ = ["REQUESTER_PAYS", "SOURCE_PREFIX", "ArxivUrlGenerator"]

SOURCE_PREFIX = "s3://arxiv/src"
"""The bucket of arXiv; who downloads from it pays for the transfer."""

REQUESTER_PAYS: Mapping[str, Any] = {"requester_pays": True}

_MANIFEST = "arXiv_src_manifest.xml"
_ARCHIVE = re.compile(r"arXiv_src_\d{4}_\d+\.tar")


class ArxivUrlGenerator(URLGenerator):
    """Reads the manifest that arXiv publishes with its archives of sources.

    Args:
        source_prefix: Where archives and manifest are: the bucket, or a mirror over HTTP.
        storage_options: For the S3 filesystem; that the requester pays without it.
        policy: How to fetch over HTTP.
    """

    def __init__(
        self,
        source_prefix: str = SOURCE_PREFIX,
        storage_options: Mapping[str, Any] | None = None,
        policy: HttpPolicy = INDEX_POLICY,
    ) -> None:
        self._prefix = source_prefix.rstrip("/")
        self._storage_options = dict(REQUESTER_PAYS if storage_options is None else storage_options)
        self._policy = policy

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if S3 is needed and cannot be spoken to."""
        if self._prefix.startswith("s3://"):
            require_s3("downloading from arXiv (s5cmd is not needed for it)")

    def generate_urls(self) -> list[str]:
        """Return the URLs of the archives, in the order of the manifest: from the oldest papers on.

        Raises:
            IndexUnavailable: The manifest cannot be fetched or read; a `RuntimeError`.
        """
        url = f"{self._prefix}/{_MANIFEST}"
        data = self._manifest(url)
        try:
            files = [posixpath.basename(entry.get("filename", "")) for entry in _entries(data, url)]
        except DataError as error:
            message = f"the manifest of arXiv cannot be read: {error}"
            raise IndexUnavailable(message) from error
        names = [name for name in files if _ARCHIVE.fullmatch(name)]
        if not names:
            message = (
                f"the manifest of arXiv, {url}, should name archives such as arXiv_src_2001_001.tar, but names none"
            )
            raise IndexUnavailable(message)
        return [f"{self._prefix}/{name}" for name in names]

    def _manifest(self, url: str) -> bytes:
        if not url.startswith("s3://"):
            return fetch_index(url, "the manifest of arXiv", self._policy)
        try:
            data = get_fs(url, self._storage_options).cat_file(url)
        # Stores raise errors of their own kinds, from "access denied" to "no credentials".
        except Exception as error:
            message = f"the manifest of arXiv cannot be had from {url}: {type(error).__name__}: {error}. Check the credentials"
            raise IndexUnavailable(message) from error
        return cast("bytes", data)


def _entries(data: bytes, url: str) -> list[dict[str, str]]:
    return list(iter_xml_records(io.BytesIO(data), "file", where=url))
