"""`WikipediaDownloadExtractStage`: from a language to articles."""

from __future__ import annotations

from nemo_curator.stages.text.download.base import DocumentDownloadExtractStage
from nemo_curator.stages.text.download.wikipedia.download import WikipediaDownloader
from nemo_curator.stages.text.download.wikipedia.extract import WikipediaExtractor
from nemo_curator.stages.text.download.wikipedia.iterator import WikipediaIterator
from nemo_curator.stages.text.download.wikipedia.url_generation import WikipediaUrlGenerator

__all__ = ["WikipediaDownloadExtractStage"]


class WikipediaDownloadExtractStage(DocumentDownloadExtractStage):
    """Download a dump of Wikipedia and take the text out of its articles.

    Args:
        language: As in the address of that Wikipedia: ``"en"``.
        download_dir: Where the files of the dump go.
        dump_date: ``YYYYMMDD``; without it the newest dump that is finished.
        wikidumps_index_prefix: Where dumps are published, or a mirror.
        verbose: Log every file.
        url_limit: Files to download, from the first.
        record_limit: Articles to keep of every file.
        add_filename_column: Whether to add the name of the file as column ``file_name``; or the name of that column.
        log_frequency: Articles between two lines in the log; 0 for none.
    """

    def __init__(
        self,
        language: str = "en",
        download_dir: str = "./wikipedia_downloads",
        dump_date: str | None = None,
        wikidumps_index_prefix: str = "https://dumps.wikimedia.org",
        verbose: bool = False,
        url_limit: int | None = None,
        record_limit: int | None = None,
        add_filename_column: bool | str = True,
        log_frequency: int = 1000,
    ) -> None:
        super().__init__(
            url_generator=WikipediaUrlGenerator(language, dump_date, wikidumps_index_prefix),
            downloader=WikipediaDownloader(download_dir, verbose),
            iterator=WikipediaIterator(language, log_frequency),
            extractor=WikipediaExtractor(language),
            url_limit=url_limit,
            record_limit=record_limit,
            add_filename_column=add_filename_column,
        )
        self._what = f"the {language} Wikipedia, {dump_date or 'newest dump'}"
        self.name = f"wikipedia_{language}"

    def get_description(self) -> str:
        """Return what is downloaded."""
        return f"Download {self._what}, and extract the text of its articles"
