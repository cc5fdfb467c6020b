"""What every download has: URLs, a downloader, an iterator over records, an extractor of documents."""

from nemo_curator.stages.text.download.base.download import DocumentDownloader, DocumentDownloadStage
from nemo_curator.stages.text.download.base.extract import DocumentExtractor
from nemo_curator.stages.text.download.base.iterator import DocumentIterator
from nemo_curator.stages.text.download.base.stage import DocumentDownloadExtractStage, DocumentIterateExtractStage
from nemo_curator.stages.text.download.base.url_generation import URLGenerationStage, URLGenerator

__all__ = [
    "DocumentDownloadExtractStage",
    "DocumentDownloadStage",
    "DocumentDownloader",
    "DocumentExtractor",
    "DocumentIterateExtractStage",
    "DocumentIterator",
    "URLGenerationStage",
    "URLGenerator",
]
