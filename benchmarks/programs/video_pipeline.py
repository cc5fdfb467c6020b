"""Our stages: ``video_pipeline WORKERS FILM OUTPUT``."""

from __future__ import annotations

import json
import sys

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.video.clipping import ClipTranscodingStage, FixedStrideExtractorStage, VideoChunkingStage
from nemo_curator.stages.video.io import ClipWriterStage, VideoReader


def main(workers: str, film: str, target: str) -> None:
    """Cut a film."""
    stages = [
        VideoReader(film, max_bytes_in_memory=0),
        FixedStrideExtractorStage(10, 10, 0.5),
        # Chunks of about a minute: that much of the film stands in a worker's memory, encoded.
        VideoChunkingStage(num_clips_per_chunk=8),
        ClipTranscodingStage(encoder_options={"preset": "ultrafast"}),
        ClipWriterStage(target, film),
    ]
    pipeline = Pipeline("film", stages=stages)
    pipeline.run(LocalExecutor(num_workers=int(workers), memory_gb=1.0), return_outputs=False)
    print(json.dumps({}))


if __name__ == "__main__":
    main(*sys.argv[1:])
