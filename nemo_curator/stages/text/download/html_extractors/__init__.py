"""Ways to get text out of HTML. Importing it imports none of the packages that do the work."""

from nemo_curator.stages.text.download.html_extractors.base import HTMLExtractorAlgorithm
from nemo_curator.stages.text.download.html_extractors.justext import JusTextExtractor
from nemo_curator.stages.text.download.html_extractors.resiliparse import ResiliparseExtractor
from nemo_curator.stages.text.download.html_extractors.trafilatura import TrafilaturaExtractor

__all__ = ["HTMLExtractorAlgorithm", "JusTextExtractor", "ResiliparseExtractor", "TrafilaturaExtractor"]
