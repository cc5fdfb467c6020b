"""Wikipedia: its dumps, its articles, their text."""

from nemo_curator.stages.text.download.wikipedia.download import WikipediaDownloader
from nemo_curator.stages.text.download.wikipedia.extract import WikipediaExtractor
from nemo_curator.stages.text.download.wikipedia.iterator import WikipediaIterator
from nemo_curator.stages.text.download.wikipedia.stage import WikipediaDownloadExtractStage
from nemo_curator.stages.text.download.wikipedia.url_generation import WikipediaUrlGenerator

__all__ = [
    "WikipediaDownloadExtractStage",
    "WikipediaDownloader",
    "WikipediaExtractor",
    "WikipediaIterator",
    "WikipediaUrlGenerator",
]
