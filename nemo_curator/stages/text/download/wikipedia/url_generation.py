"""Which files a dump of Wikipedia consists of."""

from __future__ import annotations

import re
from typing import Any, cast

from nemo_curator.errors import DataError, IndexUnavailable, InputError, OptionError
from nemo_curator.stages.text.download.base import URLGenerator
from nemo_curator.stages.text.download.base.index import INDEX_POLICY, fetch_index, fetch_json
from nemo_curator.utils.http_fetch import HttpPolicy

__all__ = ["WikipediaUrlGenerator", "check_language"]

_LANGUAGE = re.compile(r"[a-z]{2,}(-[a-z]+)*")
_DATE = re.compile(r"\d{8}")
_DATE_LINK = re.compile(rb'href="(\d{8})/?"')
_DUMP = re.compile(r"[\w.-]*multistream\d*\.xml[\w.-]*")
_JOB = "articlesmultistreamdump"


def check_language(language: str) -> str:
    """Return the language, if it is written as in the addresses of Wikipedia.

    Raises:
        OptionError: It is not; a `ValueError`.
    """
    if not _LANGUAGE.fullmatch(language):
        message = f"a language of Wikipedia is written as in its address, 'en' or 'zh-min-nan'; got {language!r}"
        raise OptionError(message)
    return language


class WikipediaUrlGenerator(URLGenerator):
    """Finds the files with the articles of a dump: of the newest that is finished, or of a date.

    Args:
        language: As in the address of that Wikipedia: ``"en"``.
        dump_date: ``YYYYMMDD``; without it the newest dump that is finished.
        wikidumps_index_prefix: Where dumps are published, or a mirror.
        policy: How to fetch lists.
    """

    def __init__(
        self,
        language: str = "en",
        dump_date: str | None = None,
        wikidumps_index_prefix: str = "https://dumps.wikimedia.org",
        policy: HttpPolicy = INDEX_POLICY,
    ) -> None:
        self._wiki = check_language(language).replace("-", "_") + "wiki"
        if dump_date is not None and not _DATE.fullmatch(dump_date):
            message = f"dump_date is written YYYYMMDD, got {dump_date!r}"
            raise OptionError(message)
        self._date = dump_date
        self._root = f"{wikidumps_index_prefix.rstrip('/')}/{self._wiki}"
        self._policy = policy

    def generate_urls(self) -> list[str]:
        """Return the URLs of the files with articles, in the order of the dump.

        Raises:
            IndexUnavailable: A list cannot be fetched or read; a `RuntimeError`.
            DataError: There is no such dump, or none that is finished; a `ValueError`.
        """
        dates = self._dates() if self._date is None else [self._date]
        for date in dates:
            names = self._finished_files(date)
            if names:
                return [f"{self._root}/{date}/{name}" for name in names]
        if self._date is not None:
            message = f"the dump of {self._wiki} of {self._date} is not finished; wait, or leave dump_date out for the newest that is"
        else:
            message = f"none of the {len(dates)} dumps at {self._root}/ is finished; try again later"
        raise DataError(message)

    def _dates(self) -> list[str]:
        page = fetch_index(f"{self._root}/", f"the list of dumps of {self._wiki}", self._policy)
        dates = sorted({match.decode() for match in _DATE_LINK.findall(page)}, reverse=True)
        if not dates:
            message = (
                f"the page {self._root}/ should list dumps by date, but lists none; check the prefix and the language"
            )
            raise IndexUnavailable(message)
        return dates

    def _finished_files(self, date: str) -> list[str]:
        """Return the names of the files of a dump; none if it is not finished."""
        where = f"{self._root}/{date}/dumpstatus.json"
        try:
            status: Any = fetch_json(where, f"the state of the dump of {self._wiki} of {date}", self._policy)
        except IndexUnavailable as error:
            if not isinstance(error.__cause__, InputError):
                raise
            if self._date is None:
                return []  # a dump that has just begun has no state yet
            message = f"there is no dump of {self._wiki} of {date}: {error}. {self._root}/ lists those that there are"
            raise DataError(message) from error
        try:
            job = cast("dict[str, Any]", status["jobs"][_JOB])
            if job["status"] != "done":
                return []
            names = [name for name in cast("dict[str, Any]", job["files"]) if _DUMP.fullmatch(name)]
        except (KeyError, TypeError) as error:
            message = f"{where} does not say what the state of {_JOB!r} is; its form may have changed"
            raise IndexUnavailable(message) from error
        return sorted(names, key=_numbers_in)


def _numbers_in(name: str) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"\d+", name)], name
