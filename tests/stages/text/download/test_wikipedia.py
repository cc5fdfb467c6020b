"""Wikipedia, from the list of dumps to the text of articles, with dumps of the form that Wikimedia publishes."""

from __future__ import annotations

import bz2
import gzip
import json
import pickle
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import WikipediaDownloadExtractStage
from nemo_curator.stages.text.download.wikipedia import (
    WikipediaDownloader,
    WikipediaExtractor,
    WikipediaIterator,
    WikipediaUrlGenerator,
)
from nemo_curator.stages.text.download.wikipedia.extract import plain_text
from nemo_curator.testing.web import LoopbackWeb, Reply
from nemo_curator.utils.http_fetch import HttpPolicy
from nemo_curator.utils.xml_records import iter_xml_records


def _no_pause(seconds: float) -> None:
    """Do not wait."""


POLICY = HttpPolicy(attempts=2, sleep=_no_pause)
FILES = [
    "multistream2.xml-p10p20.bz2",
    "multistream10.xml-p30p40.bz2",
    "multistream1.xml-p1p9.bz2",
    "multistream-index1.txt-p1p9.bz2",
]


def _status(state: str, *names: str) -> bytes:
    files = {name: {"size": 1} for name in names}
    return json.dumps({"jobs": {"articlesmultistreamdump": {"status": state, "files": files}}}).encode()


def _dumps(web: LoopbackWeb, wiki: str, **states: bytes | Reply) -> None:
    links = "".join(f'<a href="{date[1:]}/">{date[1:]}</a>' for date in states)
    web.serve(f"/{wiki}/", f'<html><a href="../">..</a>{links}<a href="latest/">latest</a></html>'.encode())
    for date, status in states.items():
        web.serve(f"/{wiki}/{date[1:]}/dumpstatus.json", status)


# URLs


def test_files_of_the_newest_finished_dump(web: LoopbackWeb) -> None:
    names = [f"zh_min_nanwiki-20240401-pages-articles-{name}" for name in FILES]
    _dumps(
        web, "zh_min_nanwiki",
        d20240301=_status("done", "old"), d20240401=_status("done", *names), d20240501=_status("in-progress"),
        d20240601=Reply(b"", 404),
    )  # fmt: skip
    generator = pickle.loads(pickle.dumps(WikipediaUrlGenerator("zh-min-nan", None, web.url, POLICY)))
    assert generator.generate_urls() == [f"{web.url}/zh_min_nanwiki/20240401/{names[n]}" for n in (2, 0, 1)]


def test_files_of_a_date(web: LoopbackWeb) -> None:
    _dumps(web, "enwiki", d20240301=_status("done", "enwiki-20240301-pages-articles-multistream.xml.bz2"))
    urls = WikipediaUrlGenerator("en", "20240301", web.url + "/", POLICY).generate_urls()
    assert urls == [f"{web.url}/enwiki/20240301/enwiki-20240301-pages-articles-multistream.xml.bz2"]


@pytest.mark.parametrize(
    ("date", "why"),
    [
        ("20240501", "is not finished; wait"),
        ("20000101", "there is no dump of enwiki of 20000101"),
        (None, "none of the 1 dumps"),
    ],
)
def test_dumps_that_are_not_finished_or_not_there(web: LoopbackWeb, date: str | None, why: str) -> None:
    _dumps(web, "enwiki", d20240501=_status("in-progress"))
    with pytest.raises(ValueError, match=why):
        WikipediaUrlGenerator("en", date, web.url, POLICY).generate_urls()


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (b"oops", "should be JSON"),
        (b"{}", "does not say what the state"),
        (b"[]", "does not say"),
        (Reply(b"", 500), "in 2 attempts"),
    ],
)
def test_states_that_cannot_be_read(web: LoopbackWeb, status: bytes | Reply, why: str) -> None:
    _dumps(web, "enwiki", d20240501=status)
    with pytest.raises(RuntimeError, match=why):
        WikipediaUrlGenerator("en", None, web.url, POLICY).generate_urls()


def test_a_page_without_dumps(web: LoopbackWeb) -> None:
    web.serve("/enwiki/", b"<html>welcome</html>")
    with pytest.raises(RuntimeError, match="should list dumps by date"):
        WikipediaUrlGenerator("en", None, web.url, POLICY).generate_urls()


@pytest.mark.parametrize(
    ("language", "date"), [("../x", None), ("EN", None), ("", None), ("en", "2024-01-01"), ("en", "1")]
)
def test_options(language: str, date: str | None) -> None:
    with pytest.raises(OptionError):
        WikipediaUrlGenerator(language, date)


def test_downloads_are_two_at_a_time(web: LoopbackWeb, tmp_path: Path) -> None:
    downloader = WikipediaDownloader(str(tmp_path), policy=POLICY)
    assert downloader.num_workers_per_node() == 2
    assert downloader.download(web.serve("/enwiki/1/a.bz2", b"x")) == str(tmp_path / "enwiki-1-a.bz2")


# Articles

HEAD = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="en"><siteinfo><sitename>W</sitename></siteinfo>\n'


def _page(title: str, text: str, ns: int = 0, redirect: str = "") -> str:
    there = f'<redirect title="{redirect}" />' if redirect else ""
    return (
        f"<page><title>{escape(title)}</title><ns>{ns}</ns><id>{len(title)}</id>{there}<revision><id>9</id><contributor>"
        f'<username>U</username><id>7</id></contributor><text bytes="1" xml:space="preserve">{escape(text)}</text>'
        "<sha1>x</sha1></revision></page>\n"
    )


PAGES = [
    _page("Tea & Milk", "Tea is a '''drink'''."),
    _page("Old", "#REDIRECT [[Tea]]", redirect="Tea"),
    _page("Talk:Tea", "I like it", ns=1),
    _page("Empty", " \n "),
    _page("Größe/Maß", "Ein Text <with> tags & more."),
]


def _multistream(pages: list[str], end: str = "</mediawiki>") -> bytes:
    """A head, pages and an end, each a bzip2 stream of its own, as in the dumps."""
    return b"".join(bz2.compress(part.encode()) for part in [HEAD, *pages, end])


@pytest.mark.parametrize("kind", ["multistream", "gzip", "plain"])
def test_articles_of_a_dump(tmp_path: Path, kind: str) -> None:
    plain = (HEAD + "".join(PAGES) + "</mediawiki>").encode()
    content = {"multistream": _multistream(PAGES), "gzip": gzip.compress(plain), "plain": plain}[kind]
    path = tmp_path / "dump"
    path.write_bytes(content)
    assert list(WikipediaIterator("de").iterate(str(path))) == [
        {
            "title": "Tea & Milk",
            "id": "10",
            "url": "https://de.wikipedia.org/wiki/Tea_%26_Milk",
            "language": "de",
            "source_id": "dump",
            "raw_content": "Tea is a '''drink'''.",
        },
        {
            "title": "Größe/Maß",
            "id": "9",
            "url": "https://de.wikipedia.org/wiki/Gr%C3%B6%C3%9Fe/Ma%C3%9F",
            "language": "de",
            "source_id": "dump",
            "raw_content": "Ein Text <with> tags & more.",
        },
    ]


def _until_error(items: Iterator[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """What an iterator gives before it raises, and what it says then."""
    found: list[dict[str, Any]] = []
    try:
        found.extend(items)  # keeps what came before the error
    except DataError as error:
        return found, str(error)
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("damage", ["cut stream", "cut between streams", "flipped", "gzip cut", "not XML"])
def test_a_damaged_dump_gives_what_is_before_the_damage(tmp_path: Path, damage: str) -> None:
    # Larger than what is read at once, so that there is something before the damage.
    many = [_page(f"Page {n}", f"{n} " * 200) for n in range(400)]
    whole = _multistream(many)
    plain = (HEAD + "".join(many) + "</mediawiki>").encode()
    content = {
        "cut stream": whole[:-400],
        "cut between streams": _multistream(many, end=""),
        "flipped": whole[:-300] + b"\xff\xff\xff" + whole[-297:],
        "gzip cut": gzip.compress(plain)[:-900],
        "not XML": plain[:-2000] + b"<<<" + plain[-2000:],
    }[damage]
    path = tmp_path / "dump"
    path.write_bytes(content)
    found, why = _until_error(WikipediaIterator().iterate(str(path)))
    assert "Download it again" in why
    assert [article["title"] for article in found] == [f"Page {n}" for n in range(len(found))]
    assert len(found) > 100


def test_entities_are_not_declared() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><a><page>&y;</page></a>'
    outside = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a><page>&x;</page></a>'
    for content in (bomb, outside):
        with pytest.raises(DataError, match="declares the entity 'x'"):
            list(iter_xml_records(_stream(content), "page", where="test.xml"))


def _stream(content: bytes) -> Any:
    import io

    return io.BytesIO(content)


def test_records_of_xml_are_bounded() -> None:
    content = b"<a><page><t>" + b"x" * 1001 + b"</t></page></a>"
    with pytest.raises(DataError, match="the most that is accepted"):
        list(iter_xml_records(_stream(content), "page", where="test.xml", most_chars=1000))
    assert len(list(iter_xml_records(_stream(content), "page", where="test.xml", most_chars=1001))) == 1


# Text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("'''Tea''' is a ''drink''.", "Tea is a drink."),
        ("[[Camellia sinensis|Leaves]] and [[water]]s.", "Leaves and waters."),
        ("A[[File:Tea.jpg|thumb|A cup of [[tea]]]]B[[Category:Drinks]][[Kategorie:X]]", "AB"),
        ("[[:Category:Drinks]] and [[Star Trek: Discovery]]", "Category:Drinks and Star Trek: Discovery"),
        ("{{Infobox|a=[[b]]|c={{d}}}}Text{{cite|x}}.", "Text."),
        ("Text.<ref name=x>{{cite}} see [[here]]</ref><ref name=x/> More.", "Text. More."),
        ("See [https://h.example/a the site], https://h.example/b .", "See the site, https://h.example/b ."),
        ("{| class=wikitable\n|-\n| cell\n|}\nAfter", "After"),
        ("Intro\n== History ==\nOld.\n\n\n\nNew.", "Intro\n\nHistory\n\nOld.\n\nNew."),
        ("* one\n* two\n# three", "one\ntwo\nthree"),
        ("a&nbsp;b &lt;c&gt; &#233;", "a b <c> é"),
        ("x<!-- hidden -->y<br>z __NOTOC__", "xy\nz"),
        ("<gallery>\nFile:A.jpg\n</gallery><div>in a box</div><math>x^2</math>", "in a box"),
        ("{{only|a template}}", ""),
        ("unclosed [[link and {{template and '''bold", "unclosed [[link and {{template and '''bold"),
        ("茶是一种饮料。[[文件:茶.jpg|缩略图]]", "茶是一种饮料。"),
    ],
)
def test_text_of_wikitext(wikitext: str, text: str) -> None:
    assert plain_text(wikitext) == text


def test_nesting_is_bounded() -> None:
    assert "deep" not in plain_text("<b>" * 500 + "deep" + "</b>" * 500)


def test_an_article_without_text_is_no_document() -> None:
    extractor = pickle.loads(pickle.dumps(WikipediaExtractor("de")))
    record = dict.fromkeys(extractor.input_columns(), "x")
    assert extractor.extract(record) == dict.fromkeys(extractor.output_columns(), "x")
    assert extractor.extract({**record, "raw_content": "{{stub}}"}) is None


def test_from_a_language_to_articles(web: LoopbackWeb, tmp_path: Path) -> None:
    name = "dewiki-20240401-pages-articles-multistream1.xml-p1p9.bz2"
    _dumps(web, "dewiki", d20240401=_status("done", name))
    web.serve(f"/dewiki/20240401/{name}", Reply(_multistream(PAGES), cut=50), _multistream(PAGES))
    stage = WikipediaDownloadExtractStage("de", str(tmp_path), wikidumps_index_prefix=web.url, log_frequency=1)
    stage.downloader._policy = POLICY  # type: ignore[attr-defined]
    pipeline = Pipeline("wiki").add_stage(stage)
    (batch,) = pipeline.run(LocalExecutor(mode="inline")) or []
    frame = batch.to_pandas()
    assert list(frame.columns) == ["text", "title", "id", "url", "language", "source_id", "file_name"]
    assert frame["text"].tolist() == ["Tea is a drink.", "Ein Text <with> tags & more."]
    assert "the de Wikipedia, newest dump" in stage.get_description()
