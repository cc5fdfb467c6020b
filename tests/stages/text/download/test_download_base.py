"""The parts that every download has, put together from small ones."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import (
    ChainError,
    DataError,
    MissingExtra,
    OptionError,
    OutputError,
    StageContractError,
    TransientError,
)
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import (
    DocumentDownloader,
    DocumentDownloadExtractStage,
    DocumentDownloadStage,
    DocumentExtractor,
    DocumentIterateExtractStage,
    DocumentIterator,
    URLGenerationStage,
    URLGenerator,
)
from nemo_curator.stages.text.download.base.transfer import download_from_store, download_over_http
from nemo_curator.tasks import EmptyTask, FileGroupTask
from nemo_curator.testing.web import LoopbackWeb, Reply
from nemo_curator.utils.http_fetch import HttpPolicy


def _no_pause(seconds: float) -> None:
    """Do not wait."""


POLICY = HttpPolicy(attempts=2, sleep=_no_pause)


class Urls(URLGenerator):
    def __init__(self, *urls: str) -> None:
        self.urls = list(urls)

    def generate_urls(self) -> list[str]:
        return self.urls


class Web(DocumentDownloader):
    def _get_output_filename(self, url: str) -> str:
        return url.rsplit("/", 1)[1]

    def _download_to_path(self, url: str, path: str) -> tuple[bool, str | None]:
        return download_over_http(url, path, POLICY)


class Lines(DocumentIterator):
    """Every line is a record, in JSON; one that is none is raised for."""

    def iterate(self, file_path: str) -> Iterator[dict[str, Any]]:
        with open(file_path, encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                yield {"number": number, "line": json.loads(line)}

    def output_columns(self) -> list[str]:
        return ["number", "line"]


class Words(DocumentExtractor):
    """Leaves out empty lines."""

    def extract(self, record: dict[str, Any]) -> dict[str, Any] | None:
        return {"text": record["line"]} if record["line"] else None

    def input_columns(self) -> list[str]:
        return ["line"]

    def output_columns(self) -> list[str]:
        return ["text"]


def _lines(*lines: str) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


# Where URLs come from


def test_every_url_is_a_task_once() -> None:
    stage = URLGenerationStage(Urls("http://h/A.warc", "http://h/b", "http://h/A.warc", "http://h/c"), limit=2)
    tasks = stage.process(EmptyTask())
    assert [(task.data, task.dataset_name, task._metadata) for task in tasks] == [
        (["http://h/A.warc"], "a", {"source_url": "http://h/A.warc"}),
        (["http://h/b"], "b", {"source_url": "http://h/b"}),
    ]
    assert stage.name == "url_generation_urls"
    assert stage.resources.cpus == 0.5
    assert stage.num_workers() == 1
    # A run with a checkpoint asks for it; nothing listens at that address.
    assert tasks[0].content_state() == tasks[0].content_state() != tasks[1].content_state()


def test_limits_are_numbers_from_0() -> None:
    assert URLGenerationStage(Urls("http://h/a"), limit=0).process(EmptyTask()) == []
    with pytest.raises(OptionError, match="limit must be"):
        URLGenerationStage(Urls(), limit=-1)
    with pytest.raises(OptionError, match="record_limit must be"):
        DocumentIterateExtractStage(Lines(), record_limit=-1)


# Downloads


def test_a_file_is_downloaded_once(web: LoopbackWeb, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = web.serve("/a.txt", b"content")
    downloader = Web(str(tmp_path / "new" / "folder"), verbose=True)
    path = str(tmp_path / "new" / "folder" / "a.txt")
    with caplog.at_level(logging.INFO):
        assert [downloader.download(url), downloader.download(url)] == [path, path]
    assert Path(path).read_bytes() == b"content"
    assert web.count("/a.txt") == 1
    assert "was downloaded to" in caplog.text
    assert "is there already" in caplog.text


def test_an_empty_file_is_downloaded_again(web: LoopbackWeb, tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    url = web.serve("/a.txt", b"content")
    assert Web(str(tmp_path)).download(url) == str(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == b"content"


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(b"", 404), "answers 404"),
        (Reply(b"", 503), "in 2 attempts"),
        (Reply(b"x" * 5000, cut=4000), "ended after 4000 of 5000 bytes"),
        (Reply(b""), "there is nothing in it"),
        (Reply(b"", 302, {"Location": "file:///etc/hostname"}), "is not an http or https URL"),
    ],
)
def test_nothing_is_left_of_a_download_that_failed(
    web: LoopbackWeb, tmp_path: Path, caplog: pytest.LogCaptureFixture, reply: Reply, why: str
) -> None:
    url = web.serve("/a.txt", reply)
    assert Web(str(tmp_path)).download(url) is None
    assert why in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_the_downloader_raises(tmp_path: Path) -> None:
    class Breaks(Web):
        def _download_to_path(self, url: str, path: str) -> tuple[bool, str | None]:
            Path(path).write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Breaks(str(tmp_path)).download("http://h/a")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_not_the_fault_of_a_url(web: LoopbackWeb, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Check that the folder may be written to"):
        Web(str(tmp_path / "file")).download(web.serve("/a", b"x"))


@pytest.mark.parametrize("name", ["", "..", "a/b", "../b", "a\0b"])
def test_names_of_files_lead_nowhere_else(name: str, tmp_path: Path) -> None:
    class Named(Web):
        def _get_output_filename(self, url: str) -> str:
            return name

    with pytest.raises(DataError, match="is not the name of a file"):
        Named(str(tmp_path)).download("http://h/a")


def test_a_download_stage_drops_what_fails_and_counts_it(web: LoopbackWeb, tmp_path: Path) -> None:
    good, bad = web.serve("/good", b"x"), web.url + "/bad"
    stage = DocumentDownloadStage(Web(str(tmp_path)))
    task = FileGroupTask("d", [good, bad], _metadata={"source_url": good})
    result = stage.process(task)
    assert result is not None
    assert result.data == [str(tmp_path / "good")]
    assert result._metadata == {"source_url": good, "source_files": [str(tmp_path / "good")]}
    assert stage._consume_drops() == {"download_failed": 1}
    assert stage.process(FileGroupTask("d", [bad])) is None
    assert (stage.name, stage.batch_size, stage.resources.cpus) == ("download_web", None, 0.5)


def test_a_download_stage_raises_where_that_is_asked_for(web: LoopbackWeb, tmp_path: Path) -> None:
    stage = DocumentDownloadStage(Web(str(tmp_path)), on_failure="raise")
    with pytest.raises(TransientError, match="answers 404"):
        stage.process(FileGroupTask("d", [web.url + "/bad"]))
    with pytest.raises(OptionError, match="on_failure"):
        DocumentDownloadStage(Web(str(tmp_path)), on_failure="explode")  # type: ignore[arg-type]


def test_from_a_store(tmp_path: Path) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe_file("/store/a", b"content")
    assert download_from_store("memory://store/a", str(tmp_path / "a")) == (True, None)
    assert (tmp_path / "a").read_bytes() == b"content"
    done, why = download_from_store("memory://store/b", str(tmp_path / "b"))
    assert not done
    assert why is not None
    assert "memory://store/b cannot be opened: FileNotFoundError" in why


# Records


def _task(tmp_path: Path, *contents: bytes) -> FileGroupTask:
    paths = []
    for number, content in enumerate(contents):
        path = tmp_path / f"file-{number}.txt"
        path.write_bytes(content)
        paths.append(str(path))
    return FileGroupTask("d", paths)


def test_records_are_documents_without_an_extractor(tmp_path: Path) -> None:
    stage = DocumentIterateExtractStage(Lines(), add_filename_column="source")
    batch = stage.process(_task(tmp_path, _lines("a", "b"), _lines("c")))
    assert batch is not None
    assert batch.to_pandas().to_dict("list") == {
        "number": [0, 1, 0],
        "line": ["a", "b", "c"],
        "source": ["file-0.txt", "file-0.txt", "file-1.txt"],
    }
    assert stage.outputs() == (["data"], ["number", "line", "source"])
    assert stage.name == "iterate_lines"
    assert stage.ray_stage_spec() == {}


def test_limits_count_what_is_kept_of_every_file(tmp_path: Path) -> None:
    stage = DocumentIterateExtractStage(Lines(), Words(), record_limit=2, add_filename_column=False)
    batch = stage.process(_task(tmp_path, _lines("", "a", "", "b", "c"), _lines("d", "e", "f")))
    assert batch is not None
    assert batch.to_pandas().to_dict("list") == {"text": ["a", "b", "d", "e"]}
    assert stage._consume_drops() == {"nothing_extracted": 2}
    assert stage.name == "iterate_extract_lines_words"


def test_a_damaged_file_ends_where_it_is_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stage = DocumentIterateExtractStage(Lines(), Words(), add_filename_column=False)
    batch = stage.process(_task(tmp_path, _lines("a") + b"{oops\n" + _lines("b"), _lines("c")))
    assert batch is not None
    assert batch.to_pandas()["text"].tolist() == ["a", "c"]
    assert stage._consume_drops() == {"file_ended_early": 1}
    assert "file-0.txt ended early, after 1 documents: JSONDecodeError" in caplog.text


def test_nothing_at_all_is_no_batch(tmp_path: Path) -> None:
    stage = DocumentIterateExtractStage(Lines(), Words())
    assert stage.process(_task(tmp_path, _lines("", ""))) is None
    assert stage.process(FileGroupTask("d", [str(tmp_path / "gone")])) is None
    assert stage._consume_drops() == {"nothing_extracted": 2, "file_ended_early": 1}


@pytest.mark.parametrize(
    "error", [MissingExtra("install it", name="x"), TransientError("again"), MemoryError(), ImportError()]
)
def test_what_is_not_the_files_fault_is_raised(error: Exception, tmp_path: Path) -> None:
    class Breaks(Words):
        def extract(self, record: dict[str, Any]) -> dict[str, Any] | None:
            raise error

    with pytest.raises(type(error)):
        DocumentIterateExtractStage(Lines(), Breaks()).process(_task(tmp_path, _lines("a")))


def test_columns_are_those_that_were_announced(tmp_path: Path) -> None:
    class More(Words):
        def extract(self, record: dict[str, Any]) -> dict[str, Any] | None:
            return {"text": "", "extra": 1}

    with pytest.raises(StageContractError, match="More gave 'extra', which its output_columns"):
        DocumentIterateExtractStage(Lines(), More()).process(_task(tmp_path, _lines("a")))
    with pytest.raises(OptionError, match="documents have a column 'text'"):
        DocumentIterateExtractStage(Lines(), Words(), add_filename_column="text")
    with pytest.raises(ValueError, match="add_filename_column must be"):
        DocumentIterateExtractStage(Lines(), add_filename_column="")


def test_an_extractor_that_reads_what_the_iterator_does_not_give() -> None:
    class Wants(Words):
        def input_columns(self) -> list[str]:
            return ["line", "html"]

    with pytest.raises(ChainError, match="the extractor reads 'html', but the iterator gives number, line"):
        DocumentIterateExtractStage(Lines(), Wants())


# All together


def test_the_composite(web: LoopbackWeb, tmp_path: Path) -> None:
    urls = [web.serve(f"/{n}.txt", _lines(f"text {n}", "", f"more {n}")) for n in range(3)]
    composite = DocumentDownloadExtractStage(
        Urls(*urls, web.url + "/gone"), Web(str(tmp_path / "raw")), Lines(), Words(), record_limit=2,
        extractor_max_calls_per_worker=7,
    )  # fmt: skip
    assert [stage.name for stage in composite.decompose()] == [
        "url_generation_urls",
        "download_web",
        "iterate_extract_lines_words",
    ]
    assert composite.decompose()[2].ray_stage_spec() == {"max_calls_per_worker": 7}
    assert composite.outputs() == (["data"], ["text", "file_name"])
    assert "Words" in composite.get_description()
    pickle.loads(pickle.dumps(composite))
    for _ in range(2):  # the second time all files are there
        pipeline = Pipeline("download").add_stage(composite)
        results = pipeline.run(LocalExecutor(mode="inline")) or []
        rows = [row for task in results for row in task.to_pandas().to_dict("records")]
        assert sorted((row["file_name"], row["text"]) for row in rows) == [
            (f"{n}.txt", f"{word} {n}") for n in range(3) for word in ("more", "text")
        ]
        assert pipeline.last_report.stage("download_web").items_dropped == {"download_failed": 1}
        assert pipeline.last_report.stage("iterate_extract_lines_words").items_dropped == {"nothing_extracted": 3}
    assert [web.count(f"/{n}.txt") for n in range(3)] == [1, 1, 1]


def test_a_run_with_a_checkpoint_asks_the_web_for_nothing_but_the_files(web: LoopbackWeb, tmp_path: Path) -> None:
    urls = [web.serve(f"/{n}.txt", _lines(f"text {n}")) for n in range(2)]
    for _ in range(2):
        composite = DocumentDownloadExtractStage(Urls(*urls), Web(str(tmp_path / "raw")), Lines(), Words())
        Pipeline("download").add_stage(composite).run(
            LocalExecutor(mode="inline"), checkpoint_path=str(tmp_path / "checkpoint")
        )
    assert sorted(path for path, _ in web.requests) == ["/0.txt", "/1.txt"]
