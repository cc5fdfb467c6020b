"""WARC files of Common Crawl on the local disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from nemo_curator.stages.text.download.base import DocumentDownloader
from nemo_curator.stages.text.download.base.transfer import download_from_store, download_over_http, require_s3
from nemo_curator.utils.http_fetch import HttpPolicy

__all__ = ["CommonCrawlWARCDownloader"]


class CommonCrawlWARCDownloader(DocumentDownloader):
    """Downloads WARC files over HTTPS, or from the bucket of Common Crawl on S3. No other program is needed for either.

    Args:
        download_dir: Where files go.
        use_aws_to_download: Take files from S3, which needs credentials and is meant for machines in the same region.
        verbose: Log every file.
        s3_bucket: The bucket.
        storage_options: For the S3 filesystem.
        policy: How to fetch over HTTPS.
    """

    def __init__(
        self,
        download_dir: str,
        use_aws_to_download: bool = False,
        verbose: bool = False,
        s3_bucket: str = "commoncrawl",
        storage_options: Mapping[str, Any] | None = None,
        policy: HttpPolicy | None = None,
    ) -> None:
        super().__init__(download_dir, verbose)
        self._use_aws = use_aws_to_download
        self._bucket = s3_bucket
        self._storage_options = dict(storage_options or {})
        self._policy = policy or HttpPolicy()

    def num_workers_per_node(self) -> int | None:
        """Return 2, which is as much as the servers like to see from one address."""
        return 2

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if S3 is wanted and cannot be spoken to."""
        if self._use_aws:
            require_s3("use_aws_to_download=True (s5cmd is not needed for it)")

    def _get_output_filename(self, url: str) -> str:
        return urlsplit(url).path.strip("/").replace("/", "-")

    def _download_to_path(self, url: str, path: str) -> tuple[bool, str | None]:
        if not self._use_aws:
            return download_over_http(url, path, self._policy)
        key = urlsplit(url).path.lstrip("/")
        return download_from_store(f"s3://{self._bucket}/{key}", path, self._storage_options)
