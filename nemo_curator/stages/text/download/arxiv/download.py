"""Archives of arXiv on the local disk."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from nemo_curator.stages.text.download.arxiv.url_generation import REQUESTER_PAYS
from nemo_curator.stages.text.download.base import DocumentDownloader
from nemo_curator.stages.text.download.base.transfer import download_from_store, download_over_http
from nemo_curator.utils.http_fetch import HttpPolicy

__all__ = ["ArxivDownloader"]


class ArxivDownloader(DocumentDownloader):
    """Downloads archives from S3, or from a mirror over HTTP. No other program is needed.

    Args:
        download_dir: Where archives go.
        verbose: Log every file.
        storage_options: For the S3 filesystem; that the requester pays without it.
        policy: How to fetch over HTTP.
    """

    def __init__(
        self,
        download_dir: str,
        verbose: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        policy: HttpPolicy | None = None,
    ) -> None:
        super().__init__(download_dir, verbose)
        self._storage_options = dict(REQUESTER_PAYS if storage_options is None else storage_options)
        self._policy = policy or HttpPolicy()

    def num_workers_per_node(self) -> int | None:
        """Return 2: archives are large, and more connections at once are not faster."""
        return 2

    def _get_output_filename(self, url: str) -> str:
        return posixpath.basename(urlsplit(url).path)

    def _download_to_path(self, url: str, path: str) -> tuple[bool, str | None]:
        if url.startswith("s3://"):
            return download_from_store(url, path, self._storage_options)
        return download_over_http(url, path, self._policy)
