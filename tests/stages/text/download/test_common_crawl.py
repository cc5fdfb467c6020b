"""Common Crawl, from lists of crawls to documents, with real pages in real WARC files."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, IndexUnavailable, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import CommonCrawlDownloadExtractStage, CommonCrawlWARCReader
from nemo_curator.stages.text.download.common_crawl import (
    CommonCrawlHTMLExtractor,
    CommonCrawlWARCDownloader,
    CommonCrawlWarcIterator,
    MainCommonCrawlUrlGenerator,
    NewsCommonCrawlUrlGenerator,
)
from nemo_curator.stages.text.download.common_crawl.snapshots import main_snapshots, months_between, parse_range
from nemo_curator.stages.text.download.html_extractors import HTMLExtractorAlgorithm
from nemo_curator.tasks import DocumentBatch
from nemo_curator.testing.web import LoopbackWeb, Reply
from nemo_curator.utils.http_fetch import HttpPolicy
from tests.stages.text.download.warcs import record, response, warc_of

TODAY = date(2024, 5, 15)


def _no_pause(seconds: float) -> None:
    """Do not wait."""


POLICY = HttpPolicy(attempts=2, sleep=_no_pause)

# Snapshots


@pytest.mark.parametrize(
    ("start", "end", "kind", "why"),
    [
        ("2024-10", "2024-09", "main", "comes after"),
        ("2024-00", "2024-10", "main", "YYYY-WW, with a week from 01 to 53"),
        ("2024-54", "2024-54", "main", "YYYY-WW"),
        ("2024-1", "2024-10", "main", "YYYY-WW"),
        ("2024-13", "2024-13", "news", "YYYY-MM, with a month from 01 to 12"),
        ("2016-07", "2024-01", "news", "the first news crawl is that of 2016-08"),
        ("2024-30", "2024-31", "main", "is in the future; today is 2024-20"),
        ("x", "2024-10", "main", "YYYY-WW"),
    ],
)
def test_snapshots_that_make_no_sense(start: str, end: str, kind: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_range(start, end, kind, TODAY)


def test_an_end_in_the_future_is_today(caplog: pytest.LogCaptureFixture) -> None:
    assert parse_range("2024-10", "2030-01", "main", TODAY) == ((2024, 10), (2024, 20))
    assert parse_range("2016-08", "2030-01", "news", TODAY) == ((2016, 8), (2024, 5))
    assert "is in the future; 2024-20 is used" in caplog.text


def test_crawls_between_two_weeks_newest_first() -> None:
    known = [
        "CC-MAIN-2024-18",
        "CC-MAIN-2023-50",
        "CC-MAIN-2024-10",
        "CC-MAIN-2012",
        "CC-MAIN-2009-2010",
        "CC-MAIN-2023-40",
    ]
    assert main_snapshots(known, (2023, 50), (2024, 17)) == ["CC-MAIN-2024-10", "CC-MAIN-2023-50"]


@given(st.integers(2016, 2030), st.integers(1, 12), st.integers(0, 40))
def test_months(year: int, month: int, more: int) -> None:
    number = year * 12 + month - 1 + more
    months = months_between((year, month), (number // 12, number % 12 + 1))
    assert len(months) == more + 1
    assert months == sorted(set(months), reverse=True)
    assert months[-1] == (year, month)


# URLs


def _paths(*paths: str) -> bytes:
    return gzip.compress("".join(path + "\n" for path in paths).encode())


def _main(web: LoopbackWeb, start: str = "2024-01", end: str = "2024-18") -> MainCommonCrawlUrlGenerator:
    return MainCommonCrawlUrlGenerator(start, end, web.url, web.url + "/index", TODAY, POLICY)


def test_urls_of_main_crawls(web: LoopbackWeb) -> None:
    web.serve("/index/collinfo.json", json.dumps([{"id": "CC-MAIN-2024-18"}, {"id": "CC-MAIN-2024-10"}]).encode())
    web.serve(
        "/crawl-data/CC-MAIN-2024-18/warc.paths.gz", _paths("crawl-data/b/1.warc.gz", "", "crawl-data/b/2.warc.gz")
    )
    web.serve("/crawl-data/CC-MAIN-2024-10/warc.paths.gz", _paths("crawl-data/a/1.warc.gz"))
    generator = pickle.loads(pickle.dumps(_main(web)))
    assert generator.generate_urls() == [f"{web.url}/crawl-data/{path}.warc.gz" for path in ("b/1", "b/2", "a/1")]


def test_urls_of_news(web: LoopbackWeb) -> None:
    for month in ("2023/12", "2024/01"):
        web.serve(f"/crawl-data/CC-NEWS/{month}/warc.paths.gz", _paths(f"crawl-data/CC-NEWS/{month}/1.warc.gz"))
    generator = NewsCommonCrawlUrlGenerator("2023-12", "2024-01", web.url, today=TODAY, policy=POLICY)
    assert [url.removeprefix(web.url) for url in generator.generate_urls()] == [
        "/crawl-data/CC-NEWS/2024/01/1.warc.gz",
        "/crawl-data/CC-NEWS/2023/12/1.warc.gz",
    ]


@pytest.mark.parametrize(
    ("index", "why"),
    [
        (Reply(b"", 404), "the list of crawls cannot be had.*answers 404"),
        (Reply(b"", 503), "in 2 attempts"),
        (Reply(b"<html>"), "should be JSON but is not"),
        (Reply(b'[{"name": 1}]'), "array of objects with an id"),
        (Reply(b"3"), "array of objects with an id"),
    ],
)
def test_a_list_of_crawls_that_is_none(web: LoopbackWeb, index: Reply, why: str) -> None:
    web.serve("/index/collinfo.json", index)
    with pytest.raises(RuntimeError, match=why) as caught:
        _main(web).generate_urls()
    assert isinstance(caught.value, IndexUnavailable)


def test_no_crawl_in_that_time(web: LoopbackWeb) -> None:
    web.serve("/index/collinfo.json", b'[{"id": "CC-MAIN-2023-10"}]')
    with pytest.raises(DataError, match="no main crawl from week 2024-01 to 2024-18; the newest are CC-MAIN-2023-10"):
        _main(web).generate_urls()


@pytest.mark.parametrize(
    "paths",
    [
        b"no gzip",
        _paths("a")[:-9],
        gzip.compress(b"\xff\xfe"),
        _paths("http://elsewhere/a"),
        _paths("//h/a"),
        _paths("a/../../b"),
    ],
    ids=["no gzip", "truncated", "no UTF-8", "a URL", "a host", "a path that leads up"],  # gzip notes the time
)
def test_a_list_of_paths_that_is_none(web: LoopbackWeb, paths: bytes) -> None:
    web.serve("/index/collinfo.json", b'[{"id": "CC-MAIN-2024-10"}]')
    web.serve("/crawl-data/CC-MAIN-2024-10/warc.paths.gz", paths)
    with pytest.raises(RuntimeError, match="list of files"):
        _main(web).generate_urls()


# WARC


def test_a_warc_file_is_named_after_its_path(web: LoopbackWeb, tmp_path: Path) -> None:
    url = web.serve("/crawl-data/CC/1.warc.gz", b"x")
    downloader = CommonCrawlWARCDownloader(str(tmp_path), policy=POLICY)
    assert downloader.download(url) == str(tmp_path / "crawl-data-CC-1.warc.gz")
    assert downloader.num_workers_per_node() == 2


@pytest.mark.parametrize("compressed", [True, False])
def test_responses_of_a_warc_file(pages: list[dict[str, Any]], tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "pages.warc.gz"
    path.write_bytes(warc_of(pages, compressed)[0])
    found = list(CommonCrawlWarcIterator().iterate(str(path)))
    assert [row["content"].decode() for row in found] == [page["html"] for page in pages]
    assert [row["url"] for row in found] == [f"http://pages.example/{page['url']}" for page in pages]
    assert {row["source_id"] for row in found} == {"pages.warc.gz"}
    assert all(len(row["warc_id"]) == 36 for row in found)


def test_a_warc_file_in_a_store(pages: list[dict[str, Any]]) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe_file("/warc/pages.warc.gz", warc_of(pages[:3])[0])
    assert len(list(CommonCrawlWarcIterator(storage_options={}).iterate("memory://warc/pages.warc.gz"))) == 3


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF, data[at + 1] ^ 0xFF]) + data[at + 2 :]


@pytest.mark.parametrize("where", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_a_damaged_record_costs_itself_alone(
    pages: list[dict[str, Any]], tmp_path: Path, where: float, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    data, places = warc_of(pages[:9])
    offset, length = places[4]
    at = offset + 12 + int(where * (length - 24))
    path = tmp_path / "a.warc.gz"
    path.write_bytes(_flip(data, at) if damage == "flip" else data[:at] + data[offset + length :])
    found = [row["url"].removeprefix("http://pages.example/") for row in CommonCrawlWarcIterator().iterate(str(path))]
    assert found == [page["url"] for page in [*pages[:4], *pages[5:9]]]
    assert "the records there are left out" in caplog.text


@pytest.mark.parametrize("end", [-12, -200, -1000])
def test_a_warc_file_that_ends_too_early(pages: list[dict[str, Any]], tmp_path: Path, end: int) -> None:
    data, _ = warc_of(sorted(pages, key=lambda page: -len(page["html"]))[:4])
    path = tmp_path / "a.warc.gz"
    path.write_bytes(data[:end])
    contents = [row["content"].decode() for row in CommonCrawlWarcIterator().iterate(str(path))]
    whole = [page["html"] for page in sorted(pages, key=lambda page: -len(page["html"]))[:4]]
    assert contents in (whole[:3], whole)  # never a part of the last


@pytest.mark.parametrize(
    "content",
    [b"hello " * 100, gzip.compress(b"<html></html>"), bytes(3000), b"\x1f\x8b\x08" * 200, b""],
    ids=["text", "gzip", "zeros", "beginnings", "empty"],  # gzip notes the time
)
def test_what_is_no_warc_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.warc\.gz is not a WARC file"):
        list(CommonCrawlWarcIterator().iterate(str(path)))


def test_encoded_large_and_other_responses(tmp_path: Path) -> None:
    body = b"<p>hello</p>" * 10
    parts = [
        response("http://h/encoded", gzip.compress(body), "Content-Encoding: gzip\r\n"),
        response("http://h/large", b"x" * 5001),
        response("http://h/broken", b"no gzip at all", "Content-Encoding: gzip\r\n"),
        record("response", "dns:h", b"20240301 h 127.0.0.1", "text/dns"),
        response("http://h/plain", body),
    ]
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(gzip.compress(part) for part in parts))
    found = {row["url"]: row["content"] for row in CommonCrawlWarcIterator(max_record_bytes=5000).iterate(str(path))}
    assert found == {"http://h/encoded": body, "http://h/plain": body}


# Text


@pytest.mark.parametrize("algorithm", [None, "justext", "resiliparse", "trafilatura"])
def test_text_of_real_pages(pages: list[dict[str, Any]], algorithm: str | None) -> None:
    extractor = pickle.loads(pickle.dumps(CommonCrawlHTMLExtractor(algorithm)))
    (page,) = [page for page in pages if page["url"].endswith("en-US/docs/api/app.html")] or pages[:1]
    row = {"url": "u", "warc_id": "w", "source_id": "s", "content": page["html"].encode()}
    document = extractor.extract(row)
    assert document is not None
    assert list(document) == extractor.output_columns()
    assert len(document["text"]) > 1000
    assert "<p>" not in document["text"]
    assert "\n\n" in document["text"]
    assert document == extractor.extract(row)


def test_languages_are_recognised(pages: list[dict[str, Any]]) -> None:
    extractor = CommonCrawlHTMLExtractor("resiliparse", {"required_stopword_density": 0.0})
    found = [
        document["language"]
        for page in pages
        if (
            document := extractor.extract({"url": "", "warc_id": "", "source_id": "", "content": page["html"].encode()})
        )
    ]
    assert len(found) > 150
    assert {"ENGLISH", "CHINESE", "JAPANESE", "KOREAN", "FRENCH", "RUSSIAN"} <= set(found)


def test_what_has_no_document() -> None:
    extractor = CommonCrawlHTMLExtractor(stop_lists={"FRENCH": frozenset({"le", "la"})})
    english = b"<p>" + b"This is the text of a page that is written in plain English. " * 10 + b"</p>"
    for content in (b"", b"\x00\xff", b"<p>12 34</p>", english):
        assert extractor.extract({"url": "", "warc_id": "", "source_id": "", "content": content}) is None


def test_a_page_in_an_old_encoding() -> None:
    text = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 10
    html = f'<html><head><meta charset="windows-1251"></head><body><p>{text}</p></body></html>'.encode("cp1251")
    document = CommonCrawlHTMLExtractor("resiliparse", {"required_stopword_density": 0.0}).extract(
        {"url": "", "warc_id": "", "source_id": "", "content": html}
    )
    assert document is not None
    assert document["language"] == "RUSSIAN"
    assert "мягких французских булок" in document["text"]


class Stumbles(HTMLExtractorAlgorithm):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def extract_text(self, html: str, stop_words: frozenset[str], language: str) -> list[str] | None:
        raise self.error


def test_a_page_that_a_parser_stumbles_over(pages: list[dict[str, Any]], caplog: pytest.LogCaptureFixture) -> None:
    row = {"url": "http://h/page", "warc_id": "", "source_id": "", "content": pages[0]["html"].encode()}
    assert CommonCrawlHTMLExtractor(Stumbles(RecursionError("too deep"))).extract(row) is None
    assert "no text from http://h/page: RecursionError: too deep" in caplog.text
    with pytest.raises(ImportError):
        CommonCrawlHTMLExtractor(Stumbles(ImportError("lxml"))).extract(row)


def test_algorithms_by_name() -> None:
    with pytest.raises(OptionError, match=r"HTML extraction 'trafilatur' is not known.*Did you mean 'trafilatura'"):
        CommonCrawlHTMLExtractor("trafilatur")
    given = CommonCrawlHTMLExtractor("resiliparse").algorithm
    assert CommonCrawlHTMLExtractor(given).algorithm is given
    with pytest.raises(OptionError, match="have no effect"):
        CommonCrawlHTMLExtractor(given, {"main_content": False})


# All together


def _crawl(web: LoopbackWeb, pages: list[dict[str, Any]]) -> None:
    web.serve("/collinfo.json", b'[{"id": "CC-MAIN-2024-10"}]')
    web.serve("/crawl-data/CC-MAIN-2024-10/warc.paths.gz", _paths("crawl-data/x/1.warc.gz", "crawl-data/x/2.warc.gz"))
    web.serve("/crawl-data/x/1.warc.gz", Reply(b"", 503, {"Retry-After": "0"}), warc_of(pages[:20])[0])
    web.serve("/crawl-data/x/2.warc.gz", Reply(b"", 302, {"Location": "/moved"}))
    web.serve("/moved", warc_of(pages[20:40])[0])


@pytest.mark.parametrize("mode", ["inline", "processes"])
def test_from_weeks_to_documents(web: LoopbackWeb, pages: list[dict[str, Any]], tmp_path: Path, mode: str) -> None:
    _crawl(web, pages)
    stage = CommonCrawlDownloadExtractStage(
        "2024-10", "2024-10", str(tmp_path), html_extraction="resiliparse", record_limit=15,
        data_prefix=web.url, index_prefix=web.url,
    )  # fmt: skip
    pipeline = Pipeline("crawl").add_stage(stage)
    results = pipeline.run(LocalExecutor(mode=mode, num_workers=2, cpus=2)) or []
    frame = pd.concat([task.to_pandas() for task in results])
    assert list(frame.columns) == ["url", "warc_id", "source_id", "language", "text", "file_name"]
    assert frame.groupby("file_name").size().to_dict() == {
        "crawl-data-x-1.warc.gz": 15,
        "crawl-data-x-2.warc.gz": 15,
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crawl-data-x-1.warc.gz", "crawl-data-x-2.warc.gz"]


def test_the_composite_of_common_crawl(tmp_path: Path) -> None:
    stage = CommonCrawlDownloadExtractStage("2024-10", "2024-10", str(tmp_path))
    assert stage.decompose()[2].ray_stage_spec() == {"max_calls_per_worker": 2}
    assert "JusTextExtractor" in stage.get_description()
    other = CommonCrawlDownloadExtractStage("2024-01", "2024-02", str(tmp_path), "news", html_extraction="trafilatura")
    assert other.decompose()[2].ray_stage_spec() == {}
    assert [part.name for part in other.decompose()] == [
        "url_generation_newscommoncrawlurlgenerator",
        "download_commoncrawlwarcdownloader",
        "iterate_extract_commoncrawlwarciterator_commoncrawlhtmlextractor",
    ]
    with pytest.raises(OptionError, match="crawl_type must be"):
        CommonCrawlDownloadExtractStage("2024-01", "2024-02", str(tmp_path), "images")  # type: ignore[arg-type]


# Single records


def _places(places: list[tuple[int, int]], name: str = "crawl-data/a.warc.gz") -> dict[str, list[Any]]:
    return {
        "warc_filename": [name] * len(places),
        "warc_record_offset": [offset for offset, _ in places],
        "warc_record_length": [length for _, length in places],
    }


@pytest.mark.parametrize("kind", ["frame", "table"])
def test_single_records(web: LoopbackWeb, pages: list[dict[str, Any]], kind: str) -> None:
    data, places = warc_of(pages[:12])
    web.serve("/crawl-data/a.warc.gz", data)
    reader = pickle.loads(pickle.dumps(CommonCrawlWARCReader(base_url=web.url, max_workers=3)))
    frame = pd.DataFrame(_places(places[::-1]))
    batch = DocumentBatch("d", frame)
    result = reader.process(batch if kind == "frame" else DocumentBatch("d", batch.to_pyarrow()))
    assert [content.decode() for content in result.to_pandas()["binary_content"]] == [
        page["html"] for page in pages[:12]
    ][::-1]
    assert "binary_content" not in frame.columns
    assert {headers["Range"].startswith("bytes=") for _, headers in web.requests} == {True}


@pytest.mark.parametrize("drop", [True, False])
def test_records_that_cannot_be_had(web: LoopbackWeb, pages: list[dict[str, Any]], drop: bool) -> None:
    data, places = warc_of(pages[:2])
    web.serve("/crawl-data/a.warc.gz", data)
    web.serve("/busy", Reply(b"", 503))
    rows = _places([places[0], (places[0][0] + 5, 50), (len(data) - 5, 50), (-3, 5), (0, places[0][0]), places[1]])
    for name in ("missing", "busy"):
        rows["warc_filename"].append(name)
        rows["warc_record_offset"].append(0)
        rows["warc_record_length"].append(10)
    reader = CommonCrawlWARCReader(base_url=web.url, drop_failed=drop, policy=POLICY)
    contents = reader.process(DocumentBatch("d", pd.DataFrame(rows))).to_pandas()["binary_content"].tolist()
    first, last = (page["html"].encode() for page in pages[:2])
    assert contents == ([first, last] if drop else [first, None, None, None, None, last, None, None])
    expected = {"record_damaged": 4, "record_not_found": 1, "record_not_fetched": 1} if drop else {}
    assert reader._consume_drops() == expected


@pytest.mark.parametrize("options", [{"max_workers": 0}, {"max_retries": -1}, {"timeout": 0}])
def test_options_of_the_reader(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="max_workers must be from 1"):
        CommonCrawlWARCReader(**options)


def test_s3_is_used_when_a_bucket_is_named() -> None:
    uses: Callable[..., bool] = lambda **options: CommonCrawlWARCReader(**options)._s3  # noqa: E731
    assert [uses(), uses(s3_bucket="b"), uses(use_s3=True), uses(use_s3=False, s3_bucket="b")] == [
        False,
        True,
        True,
        False,
    ]
