"""arXiv, from the manifest to the text of papers, with archives of the form that arXiv publishes."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import ArxivDownloadExtractStage
from nemo_curator.stages.text.download.arxiv import ArxivDownloader, ArxivExtractor, ArxivIterator, ArxivUrlGenerator
from nemo_curator.stages.text.download.arxiv.iterator import arxiv_id
from nemo_curator.stages.text.download.arxiv.tex import clean_tex, find_macros
from nemo_curator.testing.web import LoopbackWeb, Reply
from nemo_curator.utils.archives import ArchiveLimits
from nemo_curator.utils.http_fetch import HttpPolicy


def _no_pause(seconds: float) -> None:
    """Do not wait."""


POLICY = HttpPolicy(attempts=2, sleep=_no_pause)


def _tar(files: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def _paper(text: str = "Hello.") -> bytes:
    return gzip.compress(rf"\documentclass{{a}}\begin{{document}}\section{{One}}{text}\end{{document}}".encode())


# URLs


def _manifest(*names: str) -> bytes:
    files = "".join(f"<file><content_md5sum>x</content_md5sum><filename>src/{name}</filename></file>" for name in names)
    return f"<?xml version='1.0' standalone='yes'?>\n<arXivSRC>{files}<timestamp>now</timestamp></arXivSRC>".encode()


def test_archives_of_the_manifest(web: LoopbackWeb) -> None:
    web.serve("/src/arXiv_src_manifest.xml", _manifest("arXiv_src_0001_001.tar", "notes.txt", "arXiv_src_0001_002.tar"))
    generator = pickle.loads(pickle.dumps(ArxivUrlGenerator(web.url + "/src/", policy=POLICY)))
    assert generator.generate_urls() == [f"{web.url}/src/arXiv_src_0001_00{n}.tar" for n in (1, 2)]


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (_manifest(), "names none"),
        (b"<html>", "is not XML"),
        (b"", "is not XML"),
        (Reply(b"", 403), "answers 403"),
        (_manifest("a.tar"), "names none"),
    ],
)
def test_a_manifest_that_is_none(web: LoopbackWeb, manifest: bytes | Reply, why: str) -> None:
    web.serve("/arXiv_src_manifest.xml", manifest)
    with pytest.raises(RuntimeError, match=why):
        ArxivUrlGenerator(web.url, policy=POLICY).generate_urls()


def test_an_archive_is_downloaded(web: LoopbackWeb, tmp_path: Path) -> None:
    downloader = ArxivDownloader(str(tmp_path), policy=POLICY)
    assert downloader.download(web.serve("/src/a.tar", b"x")) == str(tmp_path / "a.tar")
    assert downloader.num_workers_per_node() == 2


# Papers


def _papers(path: Path, **options: Any) -> dict[str, list[str]]:
    return {paper["id"]: paper["content"] for paper in ArxivIterator(**options).iterate(str(path))}


def test_papers_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "arXiv_src_0001_001.tar"
    parts = {"main.tex": b"main", "fig.png": b"\x89PNG", "sub/two.TEX": "zwölf".encode("latin-1"), "a.bib": b"@x"}
    papers: dict[str, bytes | tarfile.TarInfo] = {
        "0001/hep-th0001001.gz": gzip.compress(_tar({**parts, "evil.tex": _link("evil.tex", "/etc/hostname")})),
        "0001/0704.0001.gz": gzip.compress(b"\\single file"),
        "0001/0704.0002.pdf": b"%PDF-1.4",
        "0001/0704.0003.gz": gzip.compress(b"%!PS-Adobe"),
        "0001/0704.0004.gz": gzip.compress(_tar({"fig.png": b"x"})),
    }
    path.write_bytes(_tar(papers))
    assert _papers(path) == {"hep-th/0001001": ["main", "zwölf"], "0704.0001": ["\\single file"]}
    (first, *_) = ArxivIterator().iterate(str(path))
    assert first["source_id"] == "arXiv_src_0001_001.tar"


@pytest.mark.parametrize(
    "bad",
    [
        b"no gzip",
        _paper()[:-9],
        gzip.compress(bytes(1_000_000)),
        gzip.compress(_tar({"big.tex": b"x" * 20_000})),
        gzip.compress(_tar({f"{n}.tex": b"x" for n in range(30)})),
        gzip.compress(_tar({f"{n}.tex": b"x" * 9000 for n in range(9)})),
        gzip.compress(_tar({"a.tex": b"x" * 3000})[:1000]),
    ],
    ids=["no gzip", "truncated", "bomb", "large file", "many files", "large in all", "truncated inside"],
)
def test_a_hostile_or_damaged_paper_costs_itself_alone(
    bad: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(_tar({"1/1.gz": gzip.compress(b"\\one"), "1/2.gz": bad, "1/3.gz": gzip.compress(b"\\three")}))
    limits = ArchiveLimits(max_members=20, max_file_bytes=10_000, max_total_bytes=60_000)
    assert _papers(path, limits=limits) == {"1": ["\\one"], "3": ["\\three"]}
    assert "a paper is left out: " in caplog.text
    assert "1/2.gz in " in caplog.text


def test_names_and_links_write_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "a.tar"
    inner = _tar({"/abs.tex": b"abs", "../up.tex": b"up", "l": _link("l", "../.."), "l/x.tex": b"through"})
    path.write_bytes(_tar({"../../9.gz": gzip.compress(inner)}))
    assert _papers(path) == {"9": ["abs", "up", "through"]}
    assert sorted(tmp_path.rglob("*")) == [folder, path]


def _until_error(items: Iterator[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """What an iterator gives before it raises, and what it says then."""
    found: list[dict[str, Any]] = []
    try:
        found.extend(items)  # keeps what came before the error
    except DataError as error:
        return found, str(error)
    raise AssertionError("nothing was raised")


def test_a_damaged_archive_gives_what_is_before_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(_tar({f"1/{n}.gz": gzip.compress(b"\\text") for n in range(5)})[:3590])
    found, why = _until_error(ArxivIterator().iterate(str(path)))
    assert [paper["id"] for paper in found] == ["0", "1", "2"]
    assert str(path) in why


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("1503/1503.00001.gz", "1503.00001"),
        ("9901/hep-th9901001.gz", "hep-th/9901001"),
        ("math.GT0309136.gz", "math.GT/0309136"),
    ],
)
def test_identifiers(name: str, identifier: str) -> None:
    assert arxiv_id(name) == identifier


# Text


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"\title{T}\begin{document}x\section{One} A.\end{document}", r"\section{One} A."),
        (r"\begin{document}No sections.\end{document}", "No sections."),
        ("plain", "plain"),
        ("\\section{A}\nOne.% a comment\n  % a line of it\nTwo 5\\% of it.", "\\section{A}\nOne.\nTwo 5\\% of it."),
        ("\\section{A} end\\\\% comment", "\\section{A} end\\\\"),
        (r"\section*{A} x \begin{thebibliography}{9} y \end{thebibliography}", r"\section*{A} x"),
        (r"\section{A} x \bibliography{refs} y", r"\section{A} x"),
        (r"\section{A} x \appendix \section{B} y", r"\section{A} x"),
        (r"\chapter{A} x \begin{references} y", r"\chapter{A} x"),
        (r"\newcommand{\me}{M. E.}\section{A} by \me and \menot.", r"\section{A} by M. E. and \menot."),
        (r"\def\a{{\it x}}\newcommand\b{\a y}\renewcommand*{\c}{z}\section{A} \b, \c", r"\section{A} {\it x} y, z"),
        (r"\newcommand{\v}[1]{\mathbf{#1}}\section{A} \v{x}", r"\section{A} \v{x}"),
        (r"\section{A} \newcommand{\x}{y}\x z", r"\section{A} y z"),
        ("", ""),
        ("% only a comment", ""),
    ],
)
def test_text_of_tex(tex: str, text: str) -> None:
    assert clean_tex([tex]) == text


def test_macros_of_one_file_are_used_in_the_others() -> None:
    assert clean_tex([r"\def\x{y}", r"\section{A} \x"]) == r"\section{A} y"


def test_macros_do_not_grow_without_end() -> None:
    bomb = r"\def\a{\b\b}" + r"\def\b{\a\a}" + r"\def\loop{\loop\loop}"
    text = clean_tex([bomb + r"\section{A} " + r"\a\loop" * 1000])
    assert len(text) < 200_000


def test_braces_that_never_close_are_left_alone() -> None:
    assert find_macros(r"\def\x{" * 2000) == {}


@given(st.lists(st.text(alphabet="\\{}%#a \n[]", max_size=80), max_size=4))
def test_any_tex_is_taken(files: list[str]) -> None:
    assert isinstance(clean_tex(files), str)


def test_the_document_of_a_paper() -> None:
    extractor = pickle.loads(pickle.dumps(ArxivExtractor()))
    record = {"id": "1", "source_id": "s", "content": [r"\section{A} x"]}
    assert extractor.extract(record) == {"text": r"\section{A} x", "id": "1", "source_id": "s"}
    assert extractor.extract({**record, "content": []}) is None


def test_from_a_manifest_to_papers(web: LoopbackWeb, tmp_path: Path) -> None:
    web.serve("/arXiv_src_manifest.xml", _manifest("arXiv_src_0001_001.tar", "arXiv_src_0001_002.tar"))
    web.serve("/arXiv_src_0001_001.tar", _tar({f"0001/0001.000{n}.gz": _paper(f"Paper {n}.") for n in range(4)}))
    stage = ArxivDownloadExtractStage(str(tmp_path), url_limit=1, record_limit=3, source_prefix=web.url)
    (batch,) = Pipeline("arxiv").add_stage(stage).run(LocalExecutor(mode="inline")) or []
    frame = batch.to_pandas()
    assert list(frame.columns) == ["text", "id", "source_id", "file_name"]
    assert frame["text"].tolist() == [rf"\section{{One}}Paper {n}." for n in range(3)]
    assert "the sources of arXiv from http://127.0.0.1" in stage.get_description()
