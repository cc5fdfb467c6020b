"""Common Crawl: its crawls, its WARC files, the text of its pages."""

from nemo_curator.stages.text.download.common_crawl.download import CommonCrawlWARCDownloader
from nemo_curator.stages.text.download.common_crawl.extract import CommonCrawlHTMLExtractor
from nemo_curator.stages.text.download.common_crawl.stage import CommonCrawlDownloadExtractStage
from nemo_curator.stages.text.download.common_crawl.url_generation import (
    MainCommonCrawlUrlGenerator,
    NewsCommonCrawlUrlGenerator,
)
from nemo_curator.stages.text.download.common_crawl.warc_iterator import CommonCrawlWarcIterator
from nemo_curator.stages.text.download.common_crawl.warc_reader import CommonCrawlWARCReader

__all__ = [
    "CommonCrawlDownloadExtractStage",
    "CommonCrawlHTMLExtractor",
    "CommonCrawlWARCDownloader",
    "CommonCrawlWARCReader",
    "CommonCrawlWarcIterator",
    "MainCommonCrawlUrlGenerator",
    "NewsCommonCrawlUrlGenerator",
]
