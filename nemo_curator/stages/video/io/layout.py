"""What `ClipWriterStage` writes, as values."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from nemo_curator.errors import DataError, OptionError
from nemo_curator.tasks.video import Clip, Video

__all__ = [
    "NewFile",
    "chunk_summary",
    "clip_meta",
    "embeddings_folder",
    "embeddings_table",
    "video_summary",
]


@dataclass(frozen=True)
class NewFile:
    """A file to be written.

    Attributes:
        folder: Below the output folder.
        name: In that folder; it may have folders of its own.
        content: All of it.
        rows: Clips in it.
    """

    folder: str
    name: str
    content: bytes
    rows: int = 1


def embeddings_folder(algorithm: str) -> str:
    """Return the folder of the embeddings of an algorithm, ``ce1_embd_parquet`` for cosmos-embed1.

    Raises:
        OptionError: The name of the algorithm cannot be a part of a file name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", algorithm):
        message = f"embedding_algorithm {algorithm!r} names a folder: letters, digits, '.', '_' and '-' only"
        raise OptionError(message)
    return "ce1_embd_parquet" if algorithm == "cosmos-embed1" else f"{algorithm}_embd_parquet"


def embeddings_table(vectors: Mapping[str, Any]) -> bytes:
    """Return a Parquet file with columns ``id`` and ``embedding``, fixed-size lists of float32."""
    import numpy as np

    pa: Any = import_module("pyarrow")

    parquet: Any = import_module("pyarrow.parquet")

    matrix = np.stack([np.asarray(vector, np.float32).reshape(-1) for vector in vectors.values()])
    columns = {
        "id": pa.array(list(vectors), pa.string()),
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1]),
    }
    sink = io.BytesIO()
    parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


def clip_meta(
    clip: Clip,
    video: Video,
    location: str,
    caption_models: Sequence[str] | None,
    enhanced_caption_models: Sequence[str] | None,
) -> dict[str, Any]:
    """Return what is known about a clip.

    Args:
        clip: The clip.
        video: Its video.
        location: Where the encoded clip is; empty if it was not written.
        caption_models: Whose captions; `None` for all.
        enhanced_caption_models: Whose enhanced captions; `None` for all.
    """
    source = video.metadata
    meta: dict[str, Any] = {
        "span_uuid": str(clip.uuid),
        "source_video": clip.source_video,
        "duration_span": list(clip.span),
        "width_source": source.width,
        "height_source": source.height,
        "framerate_source": source.framerate,
        "clip_location": location,
    }
    errors = dict(clip.errors)
    try:
        meta |= clip.extract_metadata() or {}
    except DataError as error:
        errors["metadata"] = str(error)
    if clip.motion_score_global_mean is not None:
        meta["motion_score"] = {
            "global_mean": clip.motion_score_global_mean,
            "per_patch_min_256": clip.motion_score_per_patch_min_256,
        }
    if clip.aesthetic_score is not None:
        meta["aesthetic_score"] = clip.aesthetic_score
    if clip.frame_scores:
        meta["frame_scores"] = clip.frame_scores
    if clip.cosmos_embed1_text_match is not None:
        meta["cosmos_embed1_text_match"] = list(clip.cosmos_embed1_text_match)
    meta["errors"] = [f"{key}: {why}" for key, why in errors.items()]
    meta["windows"] = [
        {
            "start_frame": window.start_frame,
            "end_frame": window.end_frame,
            **{f"{model}_caption": text for model, text in _of(window.caption, caption_models).items()},
            **{
                f"{model}_enhanced_caption": text
                for model, text in _of(window.enhanced_caption, enhanced_caption_models).items()
            },
        }
        for window in clip.windows
    ]
    meta["valid"] = bool(clip.buffer) and not errors
    return meta


def _of(texts: Mapping[str, str], models: Sequence[str] | None) -> dict[str, str]:
    return {model: text for model, text in texts.items() if models is None or model in models}


def video_summary(video: Video) -> dict[str, Any]:
    """Return what is known about a video and into how many clips and chunks it was cut."""
    return {
        "video": video.input_path,
        **{key: value for key, value in asdict(video.metadata).items() if key != "size"},
        "num_bytes": video.metadata.size,
        "num_total_clips": video.num_total_clips or len(video.clips) + len(video.filtered_clips),
        "num_clip_chunks": max(1, video.num_clip_chunks),
        "errors": dict(video.errors),
    }


def chunk_summary(video: Video, caption_models: Sequence[str] | None) -> dict[str, Any]:
    """Return the counters of a chunk, which clips are in it, and what was said about them."""
    captions = {
        str(clip.uuid): {
            f"{window.start_frame}_{window.end_frame}": _of(window.caption, caption_models) for window in clip.windows
        }
        for clip in video.clips
        if clip.windows
    }
    return {
        "video": video.input_path,
        "clip_chunk_index": video.clip_chunk_index,
        "num_clips": len(video.clips) + len(video.filtered_clips),
        **asdict(video.clip_stats),
        "clips": [str(clip.uuid) for clip in video.clips],
        "filtered_clips": [str(clip.uuid) for clip in video.filtered_clips],
        "all_windows": captions,
    }
