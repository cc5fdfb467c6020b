from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path
from typing import Any, Literal

import pytest
from awkward_texts import TEXTS
from fsspec.implementations.memory import MemoryFileSystem

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.stages.text.io.reader import (
    HtmlFileReader,
    HtmlFileReaderStage,
    JsonlReader,
    TextFileReader,
    TextFileReaderStage,
)
from nemo_curator.stages.text.utils.decoding import decode
from nemo_curator.tasks import FileGroupTask

GERMAN = "Schöne Grüße aus Köln, die Straße ist naß und das Öl ist teuer.\r\n"
RUSSIAN = "Все люди рождаются свободными и равными в своем достоинстве и правах."  # noqa: RUF001
JAPANESE = "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"


def read(stage: TextFileReaderStage, *paths: Path) -> list[dict[str, Any]]:
    out = stage.process(FileGroupTask(dataset_name="d", data=[str(path) for path in paths]))
    assert out is not None
    return out.to_pyarrow().to_pylist()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        (b"plain\n", "plain\n"),
        (GERMAN.encode(), GERMAN),
        (b"\xef\xbb\xbf" + GERMAN.encode(), GERMAN),
        (GERMAN.encode("utf-16"), GERMAN),
        (b"\xfe\xff" + GERMAN.encode("utf-16-be"), GERMAN),
        (GERMAN.encode("utf-32"), GERMAN),
        (GERMAN.encode("latin-1"), GERMAN),
        (RUSSIAN.encode("koi8-r"), RUSSIAN),
        (RUSSIAN.encode("cp1251"), RUSSIAN),
        (JAPANESE.encode("shift_jis"), JAPANESE),
        (JAPANESE.encode("euc-jp"), JAPANESE),
        (JAPANESE.encode("iso-2022-jp"), JAPANESE),
    ],
    ids=str,
)
def test_the_encoding_is_found_out(content: bytes, text: str) -> None:
    assert decode(content, html=False) == text


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("koi8-r", "koi8-r"), ("iso-8859-1", "cp1252"), ("iso-8859-1", "utf-8"), ("nonsense", "utf-8"), ("", "utf-8")],
)
def test_a_page_says_its_encoding_unless_it_is_in_utf8(declared: str, encoding: str) -> None:
    word = "Привет" if encoding != "cp1252" else "Grüße"
    page = f'<html><head><meta charset="{declared}"></head><body>{word}</body></html>'
    assert decode(page.encode(encoding), html=True) == page


@pytest.mark.parametrize("kind", TEXTS)
def test_what_was_written_is_read(tmp_path: Path, kind: str) -> None:
    text = TEXTS[kind].encode("utf-8", "replace").decode()
    path = write(tmp_path / "a.txt", text.encode())
    if "\0" in text:
        return  # in UTF-8 nobody writes it; it is taken for UTF-16, for instance
    assert read(TextFileReaderStage(), path) == [{"text": text, "path": str(path)}]


def test_compressed_files_and_other_columns(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "a.txt.gz", gzip.compress(b"a")),
        write(tmp_path / "b.txt.bz2", bz2.compress(b"b")),
        write(tmp_path / "c.txt.xz", lzma.compress(b"c")),
    ]
    stage = TextFileReaderStage(text_field="content", path_field=None)
    assert read(stage, *paths) == [{"content": "a"}, {"content": "b"}, {"content": "c"}]
    assert stage.outputs() == (["data"], ["content"])


def test_a_bad_file_costs_itself_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = write(tmp_path / "good.txt", b"good")
    paths = [
        good,
        write(tmp_path / "cut.txt.gz", gzip.compress(bytes(range(90)))[:-9]),
        write(tmp_path / "large.txt", b"x" * 101),
        write(tmp_path / "bomb.txt.gz", gzip.compress(b"x" * 10**7)),
        write(tmp_path / "bomb.txt.xz", lzma.compress(b"x" * 10**7)),
        write(tmp_path / "latin.txt", b"caf\xe9"),
    ]
    stage = TextFileReaderStage(encoding="utf-8", errors="drop", max_file_bytes=100)
    assert read(stage, *paths) == [{"text": "good", "path": str(good)}]
    assert stage._consume_drops() == {"file_damaged": 1, "file_too_large": 3, "file_encoding": 1}
    assert "latin.txt is not in utf-8: unexpected end of data at byte 3; it is left out" in caplog.text
    assert read(stage, paths[2]) == []


def test_bytes_out_of_the_encoding(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"caf\xe9!")
    assert read(TextFileReaderStage(encoding="utf-8"), path)[0]["text"] == "caf\ufffd!"
    with pytest.raises(DataError, match=r"a\.txt is not in utf-8: .* at byte 3\. Say encoding="):
        read(TextFileReaderStage(encoding="utf-8", errors="fail"), path)
    with pytest.raises(InputError, match="not there any more"):
        read(TextFileReaderStage(), tmp_path / "gone.txt")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encoding": "klingon"}, "encoding 'klingon'"),
        ({"encoding": "hex"}, "encoding 'hex'"),
        ({"errors": "ignore"}, "errors must be"),
        ({"max_file_bytes": 0}, "max_file_bytes"),
        ({"path_field": "text"}, "both 'text'"),
        ({"read_kwargs": {"lines": True}}, "storage_options alone, got lines"),
    ],
    ids=str,
)
def test_wrong_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        TextFileReader("x", **options)
    with pytest.raises(OptionError, match="text_field and path_field"):
        TextFileReaderStage(fields=["text"])


@pytest.mark.parametrize("mode", ["inline", "threads", "processes"])
def test_a_folder(mode: Literal["inline", "threads", "processes"], tmp_path: Path) -> None:
    pages = tmp_path / "site"
    for number in range(7):
        write(pages / str(number % 2) / f"{number}.html", f"<p>page {number}</p>".encode())
    write(pages / "style.css", b"p {}")
    reader = HtmlFileReader(str(pages), files_per_partition=3, path_field="url", _generate_ids=True)
    batches = Pipeline("pages", stages=[reader]).run(LocalExecutor(mode=mode, num_workers=2, preserve_order=True)) or []
    rows = [row for batch in batches for row in batch.to_pyarrow().to_pylist()]
    assert [row["html"] for row in rows] == [f"<p>page {number}</p>" for number in (0, 2, 4, 6, 1, 3, 5)]
    assert rows[1]["url"] == str(pages / "0" / "2.html")
    assert [row[CURATOR_DEDUP_ID_STR] for row in rows] == list(range(7))
    assert len(batches) == 3


def test_a_url_is_the_path(tmp_path: Path) -> None:
    fs = MemoryFileSystem()
    fs.pipe("/pages/a.htm", b"<p>a</p>")
    task = FileGroupTask(dataset_name="d", data=["memory://pages/a.htm"])
    out = HtmlFileReaderStage().process(task)
    assert out is not None
    assert out.to_pyarrow().to_pylist() == [{"html": "<p>a</p>", "path": "memory://pages/a.htm"}]


def test_the_reader_of_another_kind_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.html", b"<p>")
    write(tmp_path / "b.txt", b"b")
    with pytest.raises(InputError, match="use HtmlFileReader"):
        JsonlReader(str(tmp_path / "a.html")).decompose()[0].check_before_run()
    assert [each.name for each in TextFileReader(str(tmp_path)).decompose()] == [
        "file_partitioning",
        "text_file_reader",
    ]
    assert "1000 files a task" in TextFileReader("x").get_description()
    assert "1MB a task" in TextFileReader("x", blocksize="1MB").get_description()
