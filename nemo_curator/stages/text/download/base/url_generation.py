"""`URLGenerator`: what there is to download; and the stage that makes tasks of it."""

from __future__ import annotations

import posixpath
from abc import ABC, abstractmethod
from dataclasses import dataclass
from urllib.parse import urlsplit

from nemo_curator.errors import OptionError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.download.base.part import DownloadPart
from nemo_curator.tasks import EmptyTask, FileGroupTask
from nemo_curator.utils.hash_utils import get_deterministic_hash

__all__ = ["URLGenerationStage", "URLGenerator", "UrlTask"]


class URLGenerator(DownloadPart, ABC):
    """Knows the URLs of a data set. Picklable; it is called in a worker."""

    @abstractmethod
    def generate_urls(self) -> list[str]:
        """Return the URLs, in the same order every time. Called once in a run, and again if that attempt failed."""


@dataclass(repr=False)
class UrlTask(FileGroupTask):
    """URLs of files that are not here yet."""

    def content_state(self) -> str:
        """Return a digest of the URLs: whether a published file was changed is not asked, as the copy on disk is used anyway."""
        return get_deterministic_hash([str(url) for url in self.data])


@dataclass
class URLGenerationStage(ProcessingStage[EmptyTask, UrlTask]):
    """Make a task of every URL. The source of a pipeline that downloads: every URL is a unit that can be resumed.

    Attributes:
        url_generator: Knows the URLs.
        limit: URLs to keep, from the first.
    """

    url_generator: URLGenerator
    limit: int | None = None
    # Not annotated, so that it is not an argument of the constructor.
    resources = Resources(cpus=0.5)

    def __post_init__(self) -> None:
        self.name = f"url_generation_{type(self.url_generator).__name__.lower()}"
        if self.limit is not None and self.limit < 0:
            message = f"stage {self.name!r}: limit must be a number of URLs from 0, got {self.limit}"
            raise OptionError(message)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a list of URLs."""
        return ["data"], []

    def num_workers(self) -> int | None:
        """Return 1: there is one list."""
        return 1

    def check_before_run(self) -> None:
        """Ask the generator."""
        self.url_generator.check_before_run()

    def process(self, task: EmptyTask) -> list[UrlTask]:
        """Return a task for every URL; a URL that is named twice is downloaded once."""
        urls = list(dict.fromkeys(self.url_generator.generate_urls()))
        return [
            UrlTask(dataset_name=_dataset_name(url), data=[url], _metadata={"source_url": url})
            for url in urls[: self.limit]
        ]


def _dataset_name(url: str) -> str:
    return posixpath.splitext(posixpath.basename(urlsplit(url).path))[0].lower() or "download"
