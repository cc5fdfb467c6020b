"""Download and extract: from what the web publishes to documents.

Importing it imports none of the packages that read WARC, HTML or wikitext.
"""

from nemo_curator.stages.text.download.arxiv import ArxivDownloadExtractStage
from nemo_curator.stages.text.download.base import (
    DocumentDownloader,
    DocumentDownloadExtractStage,
    DocumentDownloadStage,
    DocumentExtractor,
    DocumentIterateExtractStage,
    DocumentIterator,
    URLGenerationStage,
    URLGenerator,
)
from nemo_curator.stages.text.download.common_crawl import (
    CommonCrawlDownloadExtractStage,
    CommonCrawlHTMLExtractor,
    CommonCrawlWARCReader,
)
from nemo_curator.stages.text.download.wikipedia import WikipediaDownloadExtractStage

__all__ = [
    "ArxivDownloadExtractStage",
    "CommonCrawlDownloadExtractStage",
    "CommonCrawlHTMLExtractor",
    "CommonCrawlWARCReader",
    "DocumentDownloadExtractStage",
    "DocumentDownloadStage",
    "DocumentDownloader",
    "DocumentExtractor",
    "DocumentIterateExtractStage",
    "DocumentIterator",
    "URLGenerationStage",
    "URLGenerator",
    "WikipediaDownloadExtractStage",
]
