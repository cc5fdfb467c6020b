"""arXiv: its archives of sources, its papers, their text."""

from nemo_curator.stages.text.download.arxiv.download import ArxivDownloader
from nemo_curator.stages.text.download.arxiv.extract import ArxivExtractor
from nemo_curator.stages.text.download.arxiv.iterator import ArxivIterator
from nemo_curator.stages.text.download.arxiv.stage import ArxivDownloadExtractStage
from nemo_curator.stages.text.download.arxiv.url_generation import ArxivUrlGenerator

__all__ = ["ArxivDownloadExtractStage", "ArxivDownloader", "ArxivExtractor", "ArxivIterator", "ArxivUrlGenerator"]
