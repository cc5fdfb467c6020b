"""Clips as files, each with what is known about it, and a summary for every video."""

from __future__ import annotations

import json
import logging
import os
import posixpath
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from nemo_curator.errors import DataError, OptionError, OutputError, require
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.video.io.layout import (
    NewFile,
    chunk_summary,
    clip_meta,
    embeddings_folder,
    embeddings_table,
    video_summary,
)
from nemo_curator.tasks.video import Clip, ClipStats, Video, VideoTask
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path
from nemo_curator.utils.output_manifest import OutputFolder, RunOutput, WrittenFile

__all__ = ["ClipWriterStage"]

_log = logging.getLogger(__name__)

# A folder for each clip: a manifest in each would be as many files again.
_WITHOUT_MANIFEST = "previews"


@dataclass
class ClipWriterStage(ProcessingStage[VideoTask, VideoTask]):
    """Write the clips of a video, or of a part of one, and let go of what was written.

    Below `output_path` there are ``clips/<uuid>.mp4`` and ``filtered_clips/<uuid>.mp4``, ``metas/v0/<uuid>.json`` with what is known about a
    clip, ``previews/<uuid>/<start>_<end>.webp``, ``<algorithm>_embd_parquet/<uuid>.parquet`` with columns ``id`` and ``embedding``
    (``ce1_embd_parquet`` for cosmos-embed1), ``processed_videos/<path of the video>.json``, and
    ``processed_clip_chunks/<path of the video>_<chunk>.json`` with counters. No pickles are written.

    Names follow from the video's path and the clip's place in it, so writing a video again gives the same names. A file that is there is
    left as it is, with a warning, unless `overwrite` is set; it is complete, as files appear when they are. When the run is complete each of
    these folders but ``previews`` gets a manifest with the SHA-256 of its files.

    Attributes:
        output_path: The folder, local or a URL that fsspec knows. It is made when the first file is written.
        input_path: The folder, or URL, that all videos are in. A path to a single video is fine.
        upload_clips: Write the encoded clips. Otherwise everything else is written.
        dry_run: Write nothing.
        generate_embeddings: Write embeddings.
        generate_previews: Write previews.
        generate_captions: Write captions into the metadata.
        embedding_algorithm: Which embeddings of a clip.
        caption_models: Whose captions; `None` for all.
        enhanced_caption_models: Whose enhanced captions; `None` for all.
        verbose: Log a line for every task.
        max_workers: Files to write at a time.
        log_stats: Log the counters of every task.
        overwrite: Replace files that are there.
        storage_options: For fsspec.
    """

    output_path: str
    input_path: str
    upload_clips: bool = True
    dry_run: bool = False
    generate_embeddings: bool = False
    generate_previews: bool = False
    generate_captions: bool = False
    embedding_algorithm: str = "cosmos-embed1"
    caption_models: list[str] | None = None
    enhanced_caption_models: list[str] | None = None
    verbose: bool = False
    max_workers: int = 6
    log_stats: bool = False
    name: str = "clip_writer"
    overwrite: bool = False
    storage_options: dict[str, Any] | None = None
    # Not annotated, so that it is not an argument of the constructor.
    resources = Resources(cpus=0.25)

    def __post_init__(self) -> None:
        if self.max_workers < 1:
            message = f"stage {self.name!r}: max_workers must be at least 1, got {self.max_workers}"
            raise OptionError(message)
        embeddings_folder(self.embedding_algorithm)
        self.output_path = _absolute(self.output_path)
        self._root = _absolute(self.input_path)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def check_before_run(self) -> None:
        """Raise `OutputError` if the folder cannot be written, `MissingExtra` if embeddings cannot."""
        if self.generate_embeddings:
            require("pyarrow", extra="video", purpose=f"stage {self.name!r}")
        if is_remote_url(self.output_path) or self.dry_run:
            return
        existing = self.output_path
        while not os.path.lexists(existing) and os.path.dirname(existing) != existing:
            existing = os.path.dirname(existing)
        if not os.path.isdir(existing) or not os.access(existing, os.W_OK | os.X_OK):
            message = f"stage {self.name!r}: cannot write to {self.output_path}: {existing} is not a folder that this user may write to"
            raise OutputError(message)

    def commit_output(self, output: RunOutput) -> None:
        """Lay a manifest down in every folder but those of previews."""
        previews = f"{self.output_path}/{_WITHOUT_MANIFEST}/"
        folders = {posixpath.dirname(file.path) for file in output.files if not file.path.startswith(previews)}
        for folder in sorted(folders):
            OutputFolder(folder, self.storage_options).commit(output)

    def process(self, task: VideoTask) -> VideoTask:
        """Write everything of one task.

        Raises:
            ValueError: The video is not below `input_path`.
            OutputError: A file cannot be written.
        """
        video = task.data
        relative = self._relative(video)
        video.clip_stats = self._counted(video)
        if not self.dry_run:
            with ThreadPoolExecutor(self.max_workers) as pool:
                written = list(pool.map(self._write, self._files(video, relative)))
            for file in written:
                self.record_written(file)
        if self.log_stats or self.verbose:
            _log.info("stage %r: %s: %s", self.name, relative, video.clip_stats)
        for clip in (*video.clips, *video.filtered_clips):
            _let_go(clip)
        video.source_bytes = video.frame_array = None
        return task

    def _relative(self, video: Video) -> str:
        path = video.input_path
        if path == self._root:
            return posixpath.basename(path)
        if not path.startswith(self._root.rstrip("/") + "/"):
            message = f"stage {self.name!r}: video {path} is not below input_path {self._root}; outputs are named by the path below it"
            raise ValueError(message)
        return path[len(self._root.rstrip("/")) + 1 :]

    def _counted(self, video: Video) -> ClipStats:
        """Return the counters, with those that only show now."""
        stats, clips = ClipStats(**vars(video.clip_stats)), video.clips
        stats.num_passed = len(clips)
        stats.num_with_embeddings = sum(self._embedding(clip) is not None for clip in clips)
        stats.num_with_caption = sum(any(window.caption for window in clip.windows) for clip in clips)
        stats.num_with_webp = sum(any(window.webp_bytes for window in clip.windows) for clip in clips)
        stats.total_clip_duration = sum(clip.duration for clip in clips)
        stats.max_clip_duration = max((clip.duration for clip in clips), default=0.0)
        return stats

    def _embedding(self, clip: Clip) -> Any:
        found = clip.embeddings.get(self.embedding_algorithm)
        return clip.cosmos_embed1_embedding if found is None and self.embedding_algorithm == "cosmos-embed1" else found

    def _files(self, video: Video, relative: str) -> Iterator[NewFile]:
        """Yield what is to be written; the summaries come last, so that where there is one the clips are there too."""
        for folder, clips in (("clips", video.clips), ("filtered_clips", video.filtered_clips)):
            for clip in clips:
                yield from self._files_of_clip(clip, video, folder)
        if self.generate_embeddings:
            yield from self._embeddings(video)
        if video.clip_chunk_index == 0:
            yield NewFile("processed_videos", f"{relative}.json", _json(video_summary(video)))
        name = f"{relative}_{video.clip_chunk_index}.json"
        yield NewFile("processed_clip_chunks", name, _json(chunk_summary(video, self.caption_models)))

    def _files_of_clip(self, clip: Clip, video: Video, folder: str) -> Iterator[NewFile]:
        name = f"{clip.uuid}.mp4"
        if self.upload_clips and clip.buffer:
            yield NewFile(folder, name, clip.buffer)
        if self.generate_previews:
            for window in clip.windows:
                if window.webp_bytes:
                    inner = f"{_WITHOUT_MANIFEST}/{clip.uuid}"
                    yield NewFile(inner, f"{window.start_frame}_{window.end_frame}.webp", window.webp_bytes)
        location = f"{self.output_path}/{folder}/{name}" if self.upload_clips and clip.buffer else ""
        models: tuple[list[str] | None, list[str] | None] = (
            (self.caption_models, self.enhanced_caption_models) if self.generate_captions else ([], [])
        )
        yield NewFile("metas/v0", f"{clip.uuid}.json", _json(clip_meta(clip, video, location, *models)))

    def _embeddings(self, video: Video) -> Iterator[NewFile]:
        vectors = {str(clip.uuid): self._embedding(clip) for clip in video.clips}
        there = {name: vector for name, vector in vectors.items() if vector is not None}
        if there:
            name = uuid.uuid5(uuid.NAMESPACE_URL, f"{video.input_path}_{video.clip_chunk_index}")
            yield NewFile(
                embeddings_folder(self.embedding_algorithm), f"{name}.parquet", embeddings_table(there), len(there)
            )

    def _write(self, file: NewFile) -> WrittenFile:
        # A summary lies in a folder like that of its video.
        folder_name, name = posixpath.split(posixpath.join(file.folder, file.name))
        folder = OutputFolder(f"{self.output_path}/{folder_name}", self.storage_options)
        try:
            if not self.overwrite and _is_there(folder, name):
                _log.warning("stage %r: %s is there already and is left as it is", self.name, folder.url(name))
                return WrittenFile(folder.url(name), file.rows, *folder.digest(name))
            with folder.writing(name) as handle:
                handle.write(file.content)
        except OSError as error:
            message = (
                f"stage {self.name!r}: cannot write {folder.url(name)}: {error.strerror or error}. "
                "No part of it was left; files written before are complete"
            )
            raise OutputError(message) from error
        return WrittenFile(folder.url(name), file.rows, handle.nbytes, handle.sha256)


def _is_there(folder: OutputFolder, name: str) -> bool:
    """Say whether a folder, which may have a million files, has one of this name."""
    fs, path = folder.place
    target = posixpath.join(path, name)
    return os.path.lexists(target) if fs is None else bool(fs.exists(target))


def _absolute(path: str) -> str:
    given = os.fspath(path)
    return given.rstrip("/") if is_remote_url(given) else local_path(given)


def _json(content: dict[str, Any]) -> bytes:
    try:
        return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()
    except ValueError as error:
        message = f"what is known about a clip cannot be written as JSON: {error}"
        raise DataError(message) from error


def _let_go(clip: Clip) -> None:
    """Drop what is large and written; what describes the clip stays."""
    clip.buffer = clip.decoded_motion_data = clip.cosmos_embed1_frames = None
    clip.extracted_frames = {}
    for window in clip.windows:
        window.mp4_bytes = window.webp_bytes = window.x1_input = None
        window.llm_inputs = {}
