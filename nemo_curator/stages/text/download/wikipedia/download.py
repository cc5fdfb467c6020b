"""Dumps of Wikipedia on the local disk."""

from __future__ import annotations

from urllib.parse import urlsplit

from nemo_curator.stages.text.download.base import DocumentDownloader
from nemo_curator.stages.text.download.base.transfer import download_over_http
from nemo_curator.utils.http_fetch import HttpPolicy

__all__ = ["WikipediaDownloader"]


class WikipediaDownloader(DocumentDownloader):
    """Downloads the files of a dump. No other program is needed.

    Args:
        download_dir: Where files go.
        verbose: Log every file.
        policy: How to fetch.
    """

    def __init__(self, download_dir: str, verbose: bool = False, policy: HttpPolicy | None = None) -> None:
        super().__init__(download_dir, verbose)
        self._policy = policy or HttpPolicy()

    def num_workers_per_node(self) -> int | None:
        """Return 2: the servers of Wikimedia allow no more connections from one address."""
        return 2

    def _get_output_filename(self, url: str) -> str:
        return urlsplit(url).path.strip("/").replace("/", "-")

    def _download_to_path(self, url: str, path: str) -> tuple[bool, str | None]:
        return download_over_http(url, path, self._policy)
