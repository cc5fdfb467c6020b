"""`CommonCrawlDownloadExtractStage`: from two dates to documents."""

from __future__ import annotations

from typing import Any, Literal

from nemo_curator.errors import OptionError
from nemo_curator.stages.text.download.base import DocumentDownloadExtractStage
from nemo_curator.stages.text.download.common_crawl.download import CommonCrawlWARCDownloader
from nemo_curator.stages.text.download.common_crawl.extract import CommonCrawlHTMLExtractor
from nemo_curator.stages.text.download.common_crawl.url_generation import (
    MainCommonCrawlUrlGenerator,
    NewsCommonCrawlUrlGenerator,
)
from nemo_curator.stages.text.download.common_crawl.warc_iterator import CommonCrawlWarcIterator
from nemo_curator.stages.text.download.html_extractors import HTMLExtractorAlgorithm, JusTextExtractor

__all__ = ["CommonCrawlDownloadExtractStage"]

_GENERATORS = {"main": MainCommonCrawlUrlGenerator, "news": NewsCommonCrawlUrlGenerator}
# lxml, on which jusText stands, keeps memory that it once had.
_JUSTEXT_CALLS = 2


class CommonCrawlDownloadExtractStage(DocumentDownloadExtractStage):
    """Download crawls of Common Crawl and take the text out of their pages.

    Args:
        start_snapshot: The first crawl: ``"2024-10"`` is week 10 of the main crawl, or October of the news.
        end_snapshot: The last one, included.
        download_dir: Where WARC files go.
        crawl_type: ``"main"`` or ``"news"``.
        html_extraction: ``"justext"`` (the default), ``"resiliparse"``, ``"trafilatura"``, or an algorithm.
        html_extraction_kwargs: Arguments of the algorithm, when it is given by name.
        stop_lists: Stop words by language, as of `CommonCrawlHTMLExtractor`.
        use_aws_to_download: Take files from S3, with the extra ``s3``.
        verbose: Log every file.
        url_limit: Files to download, from the newest crawl.
        record_limit: Documents to keep of every file.
        add_filename_column: Whether to add the name of the WARC file as column ``file_name``; or the name of that column.
        extractor_max_calls_per_worker: Files after which a worker that extracts is replaced, on backends that can; 2 for jusText.
        data_prefix: Where the crawls are published, or a mirror.
        index_prefix: Where the list of main crawls is published.
    """

    def __init__(
        self,
        start_snapshot: str,
        end_snapshot: str,
        download_dir: str,
        crawl_type: Literal["main", "news"] = "main",
        html_extraction: HTMLExtractorAlgorithm | str | None = None,
        html_extraction_kwargs: dict[str, Any] | None = None,
        stop_lists: dict[str, frozenset[str]] | None = None,
        use_aws_to_download: bool = False,
        verbose: bool = False,
        url_limit: int | None = None,
        record_limit: int | None = None,
        add_filename_column: bool | str = True,
        extractor_max_calls_per_worker: int | None = None,
        data_prefix: str = "https://data.commoncrawl.org",
        index_prefix: str = "https://index.commoncrawl.org",
    ) -> None:
        if crawl_type not in _GENERATORS:
            message = f"crawl_type must be 'main' or 'news', got {crawl_type!r}"
            raise OptionError(message)
        extractor = CommonCrawlHTMLExtractor(html_extraction, html_extraction_kwargs, stop_lists)
        if extractor_max_calls_per_worker is None and isinstance(extractor.algorithm, JusTextExtractor):
            extractor_max_calls_per_worker = _JUSTEXT_CALLS
        super().__init__(
            url_generator=_GENERATORS[crawl_type](
                start_snapshot, end_snapshot, data_prefix=data_prefix, index_prefix=index_prefix
            ),
            downloader=CommonCrawlWARCDownloader(download_dir, use_aws_to_download, verbose),
            iterator=CommonCrawlWarcIterator(),
            extractor=extractor,
            url_limit=url_limit,
            record_limit=record_limit,
            add_filename_column=add_filename_column,
            extractor_max_calls_per_worker=extractor_max_calls_per_worker,
        )
        self._what = f"the {crawl_type} crawls from {start_snapshot} to {end_snapshot}"
        self.name = f"common_crawl_{crawl_type}"

    def get_description(self) -> str:
        """Return which crawls are downloaded and how text is taken out."""
        algorithm = (
            type(self.extractor.algorithm).__name__ if isinstance(self.extractor, CommonCrawlHTMLExtractor) else ""
        )
        return f"Download {self._what} and extract text with {algorithm}"
