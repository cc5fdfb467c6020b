"""`ArxivDownloadExtractStage`: the papers of arXiv."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nemo_curator.stages.text.download.arxiv.download import ArxivDownloader
from nemo_curator.stages.text.download.arxiv.extract import ArxivExtractor
from nemo_curator.stages.text.download.arxiv.iterator import ArxivIterator
from nemo_curator.stages.text.download.arxiv.url_generation import SOURCE_PREFIX, ArxivUrlGenerator
from nemo_curator.stages.text.download.base import DocumentDownloadExtractStage

__all__ = ["ArxivDownloadExtractStage"]


class ArxivDownloadExtractStage(DocumentDownloadExtractStage):
    """Download the sources of arXiv's papers and take the text out of them.

    The bucket is read with the extra ``s3`` and with credentials; who downloads pays for the transfer.

    Args:
        download_dir: Where archives go.
        url_limit: Archives to download, from the oldest.
        record_limit: Papers to keep of every archive.
        add_filename_column: Whether to add the name of the archive as column ``file_name``; or the name of that column.
        log_frequency: Papers between two lines in the log; 0 for none.
        verbose: Log every file.
        source_prefix: Where archives and manifest are: the bucket, or a mirror over HTTP.
        storage_options: For the S3 filesystem; that the requester pays without it.
    """

    def __init__(
        self,
        download_dir: str = "./arxiv_downloads",
        url_limit: int | None = None,
        record_limit: int | None = None,
        add_filename_column: bool | str = True,
        log_frequency: int = 1000,
        verbose: bool = False,
        source_prefix: str = SOURCE_PREFIX,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            url_generator=ArxivUrlGenerator(source_prefix, storage_options),
            downloader=ArxivDownloader(download_dir, verbose, storage_options),
            iterator=ArxivIterator(log_frequency),
            extractor=ArxivExtractor(),
            url_limit=url_limit,
            record_limit=record_limit,
            add_filename_column=add_filename_column,
        )
        self._what = f"the sources of arXiv from {source_prefix}"
        self.name = "arxiv"

    def get_description(self) -> str:
        """Return what is downloaded."""
        return f"Download {self._what}, and extract the text of the papers"
