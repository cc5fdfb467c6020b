from __future__ import annotations

import json
import logging
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av")

from fsspec.implementations.memory import MemoryFileSystem

from nemo_curator.errors import DataError, InputError, OptionError, OutputError
from nemo_curator.stages.video.clipping import ClipTranscodingStage, FixedStrideExtractorStage
from nemo_curator.stages.video.io import ClipWriterStage, VideoReader, VideoReaderStage, VideoSummaryStage
from nemo_curator.tasks import FileGroupTask
from nemo_curator.tasks.video import ClipStats, Video, VideoTask, _Window
from nemo_curator.utils.video_files import VideoLimits
from tests.stages.video.media import make_video


def read(*paths: Path | str, **options: Any) -> VideoTask:
    task = FileGroupTask(dataset_name="videos", data=[str(path) for path in paths])
    return VideoReaderStage(**options).process(task)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "videos"
    (place / "inner").mkdir(parents=True)
    (place / "a.mp4").write_bytes(make_video(20))
    (place / "inner" / "b.MKV").write_bytes(make_video(10, container="matroska"))
    (place / "notes.txt").write_text("no video")
    return place


def test_small_videos_are_read_and_large_ones_stay(folder: Path) -> None:
    size = (folder / "a.mp4").stat().st_size
    small = read(folder / "a.mp4").data
    large = read(folder / "a.mp4", max_bytes_in_memory=size - 1).data
    assert small.source_bytes == (folder / "a.mp4").read_bytes()
    assert large.source_bytes is None
    assert small.metadata == large.metadata
    assert (small.metadata.size, small.metadata.num_frames) == (size, 20)
    assert large.source == folder / "a.mp4"


def test_videos_of_other_filesystems_are_read(folder: Path) -> None:
    fs = MemoryFileSystem()
    fs.pipe_file("/videos/a.mp4", (folder / "a.mp4").read_bytes())
    small, large = read("memory:///videos/a.mp4").data, read("memory:///videos/a.mp4", max_bytes_in_memory=1).data
    assert small.metadata == large.metadata == read(folder / "a.mp4").data.metadata
    assert small.input_path == "memory:///videos/a.mp4"
    assert large.source_bytes is None


def test_what_cannot_be_read_is_kept_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    gone, broken = read(tmp_path / "gone.mp4").data, read(tmp_path / "a.mp4").data
    assert "No such file" in gone.errors["download"]
    assert "cannot be opened as a video" in broken.errors["metadata"]
    assert gone.source_bytes is broken.source_bytes is None
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "gone.mp4", on_error="fail")
    with pytest.raises(DataError, match="cannot be opened"):
        read(tmp_path / "a.mp4", on_error="fail")


def test_limits_of_the_reader(folder: Path) -> None:
    assert "max_bytes" in read(folder / "a.mp4", limits=VideoLimits(max_bytes=10)).data.errors["download"]
    assert "max_pixels" in read(folder / "a.mp4", limits=VideoLimits(max_pixels=10)).data.errors["metadata"]


def test_a_task_is_one_file(folder: Path) -> None:
    with pytest.raises(ValueError, match="reads one video a task, and task videos has 2 files"):
        read(folder / "a.mp4", folder / "inner" / "b.MKV")
    with pytest.raises(OptionError, match="on_error must be"):
        VideoReaderStage(on_error="ignore")  # pyright: ignore[reportArgumentType]


def test_the_reader_checks_the_path_when_it_is_built(folder: Path, tmp_path: Path) -> None:
    for path, message in [
        (tmp_path / "none", "there is no"),
        (folder / "notes.txt", "is not a video by its name"),
        (tmp_path / "empty", "there is no video in"),
    ]:
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(FileNotFoundError, match=message):
            VideoReader(str(path))
    listing, reading = VideoReader(str(folder), video_limit=1).decompose()
    assert listing.limit == 1  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(reading, VideoReaderStage)


def encoded(folder: Path, **options: Any) -> list[VideoTask]:
    task = FixedStrideExtractorStage(0.5, 0.5, 0.1).process(read(folder / "a.mp4"))
    return list(ClipTranscodingStage(**options).process(task))


def test_the_layout_on_disk(folder: Path, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow.parquet")
    (task,) = encoded(folder)
    video = task.data
    kept, still = video.clips[:3], video.clips[3:]
    video.clips, video.filtered_clips = kept, still
    kept[0].embeddings["open-nsfw-features"] = np.ones(4, np.float32)
    kept[0].windows = [_Window(0, 4, caption={"qwen": "a", "other": "b"}, webp_bytes=b"RIFF")]
    kept[1].motion_score_global_mean, kept[1].motion_score_per_patch_min_256 = 0.5, 0.25
    kept[1].frame_scores["nsfw"] = 0.125
    kept[2].errors["caption"] = "no answer"
    stage = ClipWriterStage(
        str(tmp_path / "out"),
        str(folder),
        generate_embeddings=True,
        generate_previews=True,
        generate_captions=True,
        embedding_algorithm="open-nsfw-features",
        caption_models=["qwen"],
    )
    stage.check_before_run()
    buffers = {str(clip.uuid): clip.buffer for clip in video.clips}
    result = stage.process(task).data
    out = tmp_path / "out"
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    ids = [str(clip.uuid) for clip in kept]
    table = f"open-nsfw-features_embd_parquet/{uuid.uuid5(uuid.NAMESPACE_URL, f'{folder}/a.mp4_0')}.parquet"
    assert files == sorted(
        [
            *(f"clips/{clip}.mp4" for clip in ids),
            f"filtered_clips/{still[0].uuid}.mp4",
            *(f"metas/v0/{clip}.json" for clip in [*ids, str(still[0].uuid)]),
            f"previews/{ids[0]}/0_4.webp",
            table,
            "processed_videos/a.mp4.json",
            "processed_clip_chunks/a.mp4_0.json",
        ]
    )
    assert {clip: (out / "clips" / f"{clip}.mp4").read_bytes() for clip in ids} == buffers
    metas = [json.loads((out / "metas" / "v0" / f"{clip}.json").read_text()) for clip in ids]
    assert metas[0]["windows"] == [{"start_frame": 0, "end_frame": 4, "qwen_caption": "a"}]
    assert metas[0]["clip_location"] == str(out / "clips" / f"{ids[0]}.mp4")
    assert (metas[0]["num_frames"], metas[0]["video_codec"], metas[0]["width_source"]) == (5, "h264", 96)
    assert metas[1]["motion_score"] == {"global_mean": 0.5, "per_patch_min_256": 0.25}
    assert metas[1]["frame_scores"] == {"nsfw": 0.125}
    assert [meta["valid"] for meta in metas] == [True, True, False]
    assert metas[2]["errors"] == ["caption: no answer"]
    read_back = pa.read_table(out / table).to_pydict()
    assert read_back == {"id": [ids[0]], "embedding": [[1.0, 1.0, 1.0, 1.0]]}
    chunk = json.loads((out / "processed_clip_chunks" / "a.mp4_0.json").read_text())
    assert chunk["clips"] == ids
    assert chunk["all_windows"] == {ids[0]: {"0_4": {"qwen": "a"}}}
    assert (chunk["num_passed"], chunk["num_transcoded"], chunk["num_with_embeddings"], chunk["num_with_webp"]) == (
        3,
        4,
        1,
        1,
    )
    summary = json.loads((out / "processed_videos" / "a.mp4.json").read_text())
    assert (summary["num_total_clips"], summary["num_clip_chunks"], summary["errors"]) == (4, 1, {})
    assert result.get_major_size() < 10_000, "what was written is let go"
    assert len(stage._consume_written()) == len(files)


def test_files_that_are_there_are_left(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stage = ClipWriterStage(str(tmp_path / "out"), str(folder))
    (task,) = encoded(folder)
    stage.process(task)
    name = f"{task.data.clips[0].uuid}.mp4"
    target = tmp_path / "out" / "clips" / name
    target.write_bytes(b"mine")
    (again,) = encoded(folder)
    with caplog.at_level(logging.WARNING):
        stage.process(again)
    assert target.read_bytes() == b"mine"
    assert f"{name} is there already and is left as it is" in caplog.text
    (once_more,) = encoded(folder)
    ClipWriterStage(str(tmp_path / "out"), str(folder), overwrite=True).process(once_more)
    assert target.read_bytes() != b"mine"


def test_a_dry_run_writes_nothing(folder: Path, tmp_path: Path) -> None:
    (task,) = encoded(folder)
    ClipWriterStage(str(tmp_path / "out"), str(folder), dry_run=True).process(task)
    assert not (tmp_path / "out").exists()
    assert task.data.clip_stats.num_passed == 4


def test_clips_need_not_be_written(folder: Path, tmp_path: Path) -> None:
    (task,) = encoded(folder)
    ClipWriterStage(str(tmp_path / "out"), str(folder / "a.mp4"), upload_clips=False).process(task)
    assert sorted(os.listdir(tmp_path / "out")) == ["metas", "processed_clip_chunks", "processed_videos"]


def test_a_writer_on_another_filesystem(folder: Path) -> None:
    fs = MemoryFileSystem()
    fs.store.clear()
    (task,) = encoded(folder)
    ClipWriterStage("memory:///out", str(folder)).process(task)
    assert len(fs.ls("/out/clips", detail=False)) == 4


def test_what_cannot_be_written_is_said(folder: Path, tmp_path: Path) -> None:
    (task,) = encoded(folder)
    with pytest.raises(ValueError, match="is not below input_path"):
        ClipWriterStage(str(tmp_path / "out"), str(folder / "inner")).process(task)
    (tmp_path / "file").write_text("in the way")
    stage = ClipWriterStage(str(tmp_path / "file"), str(folder))
    with pytest.raises(OutputError, match="is not a folder"):
        stage.check_before_run()
    with pytest.raises(OutputError, match=r"cannot write .*No part of it was left"):
        stage.process(task)
    with pytest.raises(OptionError, match="names a folder"):
        ClipWriterStage("out", "in", embedding_algorithm="../up")


def test_parts_of_a_video_come_together(folder: Path) -> None:
    parts = encoded(folder)
    (task,) = parts
    clips = task.data.clips
    pieces = []
    for index in (2, 0, 1):
        video = Video(
            task.data.input_video,
            clips=clips[index : index + 1],
            num_total_clips=4,
            num_clip_chunks=4,
            clip_chunk_index=index,
            clip_stats=ClipStats(num_passed=1, total_clip_duration=0.5, max_clip_duration=0.5 + index),
            errors={f"step{index}": "trouble"},
        )
        pieces.append(VideoTask(dataset_name="videos", data=video))
    other = VideoTask(dataset_name="videos", data=Video("z.mp4"))
    whole, alone = VideoSummaryStage().process_batch([*pieces, other])
    assert [clip.span for clip in whole.data.clips] == [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)]
    assert all(clip.buffer is None for clip in whole.data.clips)
    assert whole.data.clip_stats == ClipStats(num_passed=3, total_clip_duration=1.5, max_clip_duration=2.5)
    assert whole.data.errors == {
        "step0": "trouble",
        "step1": "trouble",
        "step2": "trouble",
        "chunks": "1 of 4 parts have not arrived",
    }
    assert alone.data.errors == {}
