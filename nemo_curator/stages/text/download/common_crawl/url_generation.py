"""Which WARC files the crawls of Common Crawl consist of."""

from __future__ import annotations

from abc import abstractmethod
from datetime import UTC, date, datetime
from typing import Any, cast
from urllib.parse import urlsplit

from nemo_curator.errors import DataError, IndexUnavailable
from nemo_curator.stages.text.download.base import URLGenerator
from nemo_curator.stages.text.download.base.index import INDEX_POLICY, fetch_gzipped_lines, fetch_json
from nemo_curator.stages.text.download.common_crawl.snapshots import main_snapshots, months_between, parse_range
from nemo_curator.utils.http_fetch import HttpPolicy

__all__ = ["DATA_PREFIX", "MainCommonCrawlUrlGenerator", "NewsCommonCrawlUrlGenerator"]

DATA_PREFIX = "https://data.commoncrawl.org"
_INDEX_PREFIX = "https://index.commoncrawl.org"


class _CommonCrawlUrlGenerator(URLGenerator):
    """Reads the path lists of snapshots.

    Args:
        start_snapshot_str: The first snapshot.
        end_snapshot_str: The last one.
        data_prefix: Where the crawls are published, or a mirror.
        index_prefix: Where the list of crawls is published.
        today: What counts as today; the date in UTC without it.
        policy: How to fetch lists.
    """

    _crawl_type: str

    def __init__(
        self,
        start_snapshot_str: str,
        end_snapshot_str: str,
        data_prefix: str = DATA_PREFIX,
        index_prefix: str = _INDEX_PREFIX,
        today: date | None = None,
        policy: HttpPolicy = INDEX_POLICY,
    ) -> None:
        now = today or datetime.now(UTC).date()
        self._first, self._last = parse_range(start_snapshot_str, end_snapshot_str, self._crawl_type, now)
        self._data_prefix = data_prefix.rstrip("/")
        self._index_prefix = index_prefix.rstrip("/")
        self._policy = policy

    @abstractmethod
    def generate_path_urls(self) -> list[str]:
        """Return the URLs of the lists of paths, one for each snapshot, the newest first."""

    def generate_urls(self) -> list[str]:
        """Return the URLs of all WARC files, the newest snapshot first.

        Raises:
            IndexUnavailable: A list cannot be fetched or read; a `RuntimeError`.
            DataError: There is no crawl in that time.
        """
        lists = self.generate_path_urls()
        return [self._url_of(path, source) for source in lists for path in self._paths(source)]

    def _paths(self, source: str) -> list[str]:
        return fetch_gzipped_lines(source, "the list of files of a crawl", self._policy)

    def _url_of(self, path: str, source: str) -> str:
        parts = urlsplit(path)
        if parts.scheme or parts.netloc or ".." in path.split("/"):
            message = f"the list of files from {source} should hold paths of this crawl, but holds {path!r}"
            raise IndexUnavailable(message)
        return f"{self._data_prefix}/{path.lstrip('/')}"


class MainCommonCrawlUrlGenerator(_CommonCrawlUrlGenerator):
    """WARC files of the main crawls from one week, ``YYYY-WW``, to another; both included."""

    _crawl_type = "main"

    def generate_path_urls(self) -> list[str]:
        """Return the list of paths of every crawl that there was in that time; raises as `generate_urls` does."""
        where = f"{self._index_prefix}/collinfo.json"
        crawls: Any = fetch_json(where, "the list of crawls", self._policy)
        try:
            known = [str(crawl["id"]) for crawl in cast("list[dict[str, Any]]", crawls)]
        except (TypeError, KeyError) as error:
            message = f"the list of crawls from {where} should be a JSON array of objects with an id, but is not"
            raise IndexUnavailable(message) from error
        found = main_snapshots(known, self._first, self._last)
        if not found:
            span = f"{self._first[0]}-{self._first[1]:02d} to {self._last[0]}-{self._last[1]:02d}"
            near = ", ".join(main_snapshots(known, (0, 0), (9999, 99))[:5])
            message = f"there is no main crawl from week {span}; the newest are {near or 'none'}"
            raise DataError(message)
        return [f"{self._data_prefix}/crawl-data/{name}/warc.paths.gz" for name in found]


class NewsCommonCrawlUrlGenerator(_CommonCrawlUrlGenerator):
    """WARC files of the news crawl from one month, ``YYYY-MM``, to another; both included."""

    _crawl_type = "news"

    def generate_path_urls(self) -> list[str]:
        """Return the list of paths of every month."""
        months = months_between(self._first, self._last)
        return [f"{self._data_prefix}/crawl-data/CC-NEWS/{year}/{month:02d}/warc.paths.gz" for year, month in months]
