from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("av")
pytest.importorskip("scenedetect")
pytest.importorskip("pyarrow")
pytest.importorskip("onnxruntime")

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.video.clipping import (
    ClipFrameExtractionStage,
    ClipTranscodingStage,
    FixedStrideExtractorStage,
    SceneDetectClipExtractionStage,
    VideoChunkingStage,
)
from nemo_curator.stages.video.embedding import ClipEmbeddingStage
from nemo_curator.stages.video.filtering import ClipFrameScoreFilterStage, MotionFilterStage, MotionVectorDecodeStage
from nemo_curator.stages.video.io import ClipWriterStage, VideoReader, VideoReaderStage, VideoSummaryStage
from nemo_curator.stages.video.models import BrightnessScorer, OnnxFrameModel
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import FileGroupTask
from nemo_curator.tasks.video import Video, VideoTask
from nemo_curator.testing import BackendUnderTest
from nemo_curator.testing.faults import die
from nemo_curator.utils.output_manifest import check_output
from tests.stages.video.hostile import HOSTILE
from tests.stages.video.media import level, make_video, real_clip
from tests.stages.video.test_filters import mean_colour_model, texture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A real video of six scenes, one in which nothing moves, and three that are none."""
    place = tmp_path / "videos"
    place.mkdir()
    shutil.copy(real_clip("bikes.mp4"), place / "bikes.mp4")
    (place / "still.mp4").write_bytes(make_video(20, paint=lambda _: texture(0)))
    (place / "text.mp4").write_bytes(b"this is no video")
    (place / "cut_off.mp4").write_bytes(make_video(20)[:-300])
    (place / "empty.mov").write_bytes(b"")
    return place


def stages(source: Path, target: Path) -> list[ProcessingStage[Any, Any]]:
    model = mean_colour_model(source.parent / "means.onnx")
    return [
        # Nothing is in memory, so that the long one is divided before it is encoded.
        VideoReader(str(source), max_bytes_in_memory=0),
        SceneDetectClipExtractionStage(min_length_s=0.3),
        VideoChunkingStage(num_clips_per_chunk=1),
        ClipTranscodingStage(encoder_options={"preset": "ultrafast"}),
        MotionVectorDecodeStage(),
        MotionFilterStage(),
        ClipFrameExtractionStage(target_fps=[2], target_res=(27, 64)),
        ClipFrameScoreFilterStage(BrightnessScorer(), "brightness", min_score=0.05, target_fps=2),
        ClipEmbeddingStage(OnnxFrameModel(model, size=(8, 8)), "mean-colour"),
        ClipWriterStage(
            str(target), str(source), generate_embeddings=True, embedding_algorithm="mean-colour", log_stats=True
        ),
        VideoSummaryStage(),
    ]


def test_videos_become_clips_on_every_backend(backend: BackendUnderTest, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = backend.run(*stages(folder, out))
    videos = {Path(task.data.input_path).name: task.data for task in result.outputs}
    assert sorted(videos) == ["bikes.mp4", "cut_off.mp4", "empty.mov", "still.mp4", "text.mp4"]
    bikes, still = videos["bikes.mp4"], videos["still.mp4"]
    assert [round(clip.span[0] * 25) for clip in bikes.clips] == [0, 30, 76, 137, 187, 242]
    assert (bikes.num_total_clips, bikes.num_clip_chunks, bikes.clip_stats.num_passed) == (6, 2, 6)
    assert bikes.clip_stats.num_transcoded == bikes.clip_stats.num_with_embeddings == 6
    assert bikes.clip_stats.total_clip_duration == pytest.approx(10)
    assert (still.clip_stats.num_passed, still.clip_stats.num_filtered_by_motion) == (0, 1)
    assert [sorted(videos[name].errors) for name in ("cut_off.mp4", "empty.mov", "text.mp4")] == [["metadata"]] * 3
    assert sorted(path.stem for path in (out / "clips").glob("*.mp4")) == sorted(str(clip.uuid) for clip in bikes.clips)
    for name in ("clips", "filtered_clips", "metas/v0", "mean-colour_embd_parquet", "processed_videos"):
        assert check_output(str(out / name)) == []
    summary = json.loads((out / "processed_videos" / "text.mp4.json").read_text())
    assert "cannot be opened as a video" in summary["errors"]["metadata"]
    chunks = [json.loads(path.read_text()) for path in (out / "processed_clip_chunks").glob("bikes.mp4_*.json")]
    assert sum(chunk["num_passed"] for chunk in chunks) == 6


def test_a_run_that_is_repeated_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    def run(target: Path) -> dict[str, bytes]:
        pipeline = Pipeline("video", stages=stages(folder, target))
        pipeline.run(LocalExecutor(mode="inline"))
        written = {str(path.relative_to(target)): path for path in target.rglob("*") if path.is_file()}
        return {
            name: path.read_bytes().replace(bytes(target), b"OUT")
            for name, path in written.items()
            if "manifest" not in name
        }

    (folder / "bikes.mp4").write_bytes(make_video(20, paint=lambda number: texture(8 * number)))
    assert run(tmp_path / "one") == run(tmp_path / "two")


class Deadly(VideoReaderStage):
    """A decoder that dies of some videos, as native code can."""

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        # Importing it must not count as the time of the first task, however busy the machine is.
        import av  # noqa: F401

    def process(self, task: FileGroupTask) -> VideoTask:
        name = Path(task.data[0]).stem
        if name in ("segv", "hang_native", "abort"):
            die(name)
        return super().process(task)


@pytest.mark.parametrize("how", ["segv", "abort", "hang_native"])
def test_a_decoder_that_dies_costs_the_video_that_killed_it(how: str, tmp_path: Path) -> None:
    good = make_video(10)
    names = ["a.mp4", "b.mp4", f"{how}.mp4", "c.mp4", "d.mp4"]
    for name in names:
        (tmp_path / name).write_bytes(good)
    tasks = [FileGroupTask(dataset_name="videos", data=[str(tmp_path / name)]) for name in names]
    pipeline = Pipeline(
        "deadly",
        stages=[
            Deadly().with_(timeout_s=3.0),
            FixedStrideExtractorStage(1, 1, 0.1),
            ClipTranscodingStage(),
        ],
    )
    executor = LocalExecutor(num_workers=2, cpus=2, on_error="quarantine", crash_attempts=2)
    outputs = pipeline.run(executor, initial_tasks=tasks)
    assert sorted(Path(task.data.input_path).name for task in outputs or []) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert all(clip.buffer for task in outputs or [] for clip in task.data.clips)
    report = pipeline.last_report
    assert report is not None
    (failure,) = report.failures
    assert failure.stage == "video_reader"


def test_a_broken_video_fails_alone_where_that_is_asked_for(folder: Path) -> None:
    pipeline = Pipeline("strict", stages=[VideoReader(str(folder), on_error="fail")])
    outputs = pipeline.run(LocalExecutor(mode="inline", on_error="quarantine"))
    assert sorted(Path(task.data.input_path).name for task in outputs or []) == ["bikes.mp4", "still.mp4"]
    assert pipeline.last_report is not None
    assert len(pipeline.last_report.failures) == 3


GOOD: dict[str, bytes] = {
    "plain.mp4": make_video(10),
    "really_matroska.mp4": make_video(10, container="matroska"),
    "of_a_varying_rate.mp4": make_video(10, times=[0, 0.05, 0.3, 0.31, 0.4, 0.5, 0.7, 0.8, 0.85, 0.9]),
    "rotated.mov": make_video(10, rotation=90),
    "with_sound.mp4": make_video(10, audio="aac"),
    "odd_sides.avi": make_video(10, codec="mpeg4", container="avi", paint=lambda number: level(number)[:46, :62]),
}


@pytest.mark.parametrize("mode", ["inline", "processes"])
def test_hostile_videos_cost_themselves_and_nothing_else(mode: Any, tmp_path: Path) -> None:
    source = tmp_path / "videos"
    source.mkdir()
    for name, content in GOOD.items():
        (source / name).write_bytes(content)
    for number, (kind, (make, _)) in enumerate(HOSTILE.items()):
        suffix = (".mp4", ".mkv", ".avi")[number % 3]
        (source / f"hostile_{kind}{suffix}").write_bytes(make(tmp_path))
    pipeline = Pipeline(
        "hostile",
        stages=[
            VideoReader(str(source), on_error="fail"),
            FixedStrideExtractorStage(0.5, 0.5, 0.1),
            ClipTranscodingStage(),
            ClipWriterStage(str(tmp_path / "out"), str(source)),
        ],
    )
    quarantine = tmp_path / "quarantine"
    executor = LocalExecutor(mode=mode, num_workers=2, cpus=2, on_error="quarantine", quarantine_path=str(quarantine))
    videos = [task.data for task in pipeline.run(executor) or []]
    assert sorted(Path(video.input_path).name for video in videos) == sorted(GOOD)
    assert [len(video.clips) for video in videos] == [2] * len(GOOD)
    assert not any(clip.errors for video in videos for clip in video.clips)
    assert len(list((tmp_path / "out" / "clips").glob("*.mp4"))) == 2 * len(GOOD)
    assert pipeline.last_report is not None
    failures = pipeline.last_report.failures
    assert (len(failures), {failure.stage for failure in failures}) == (len(HOSTILE), {"video_reader"})


def test_tasks_say_how_much_memory_they_take() -> None:
    from nemo_curator.utils.sizing import estimate_nbytes

    video = Video("a.mp4", source_bytes=bytes(1_000_000))
    assert 1_000_000 < estimate_nbytes(VideoTask(dataset_name="test", data=video)) < 1_100_000


def test_a_run_that_goes_on_cuts_nothing_twice(tmp_path: Path) -> None:
    source, out = tmp_path / "videos", tmp_path / "out"
    source.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (source / name).write_bytes(make_video(20))

    def run() -> Pipeline:
        pipeline = Pipeline(
            "resumed",
            stages=[
                VideoReader(str(source)),
                FixedStrideExtractorStage(1, 1, 0.1),
                ClipTranscodingStage(num_clips_per_chunk=1),
                ClipWriterStage(str(out), str(source)),
            ],
        )
        pipeline.run(LocalExecutor(mode="inline"), checkpoint_path=str(tmp_path / "checkpoint"))
        return pipeline

    run()
    before = {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir() if path.is_file()}
    assert len(before) == 4
    (source / "c.mp4").write_bytes(make_video(10))
    report = run().last_report
    assert report is not None
    assert report.stage("clip_transcoding").tasks_in == 1
    after = {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir() if path.is_file()}
    assert len(after) == 5
    assert before.items() <= after.items()
    assert check_output(str(out / "clips")) == []
