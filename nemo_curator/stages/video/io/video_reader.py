"""Videos from a folder, a file or a URL: one task each."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nemo_curator.errors import CuratorError, DataError, InputError, OptionError
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.tasks import EmptyTask, FileGroupTask
from nemo_curator.tasks.video import Video, VideoTask
from nemo_curator.utils.byte_sizes import parse_bytes_string_to_int
from nemo_curator.utils.client_utils import FSPath, is_remote_url
from nemo_curator.utils.file_listing import has_extension, iter_files, local_path, resolve_url
from nemo_curator.utils.video_files import VideoLimits, VideoSource, read_source, require_av, source_size

__all__ = ["VIDEO_EXTENSIONS", "VideoReader", "VideoReaderStage"]

_log = logging.getLogger(__name__)

VIDEO_EXTENSIONS = (".mp4", ".mov", ".avi", ".mkv", ".webm")
# A clip of the usual size fits; a film does not, and is read piece by piece where it is.
_IN_MEMORY = "64MiB"


@dataclass
class VideoReaderStage(ProcessingStage[FileGroupTask, VideoTask]):
    """Read what a video is: its metadata, and its bytes if it is small.

    A small video travels with its task. A larger one stays where it is, and stages read it from there piece by piece: on several
    machines that takes a filesystem that all of them see.

    A file that cannot be read is not lost: its task goes on without clips, with a sentence in ``errors["download"]`` or
    ``errors["metadata"]`` that the writer puts into the video's summary.

    Attributes:
        input_path: The folder that all paths are in; not needed to read.
        verbose: Log a line for every video.
        limits: What a video may be at most.
        max_bytes_in_memory: Size up to which the file is read into ``source_bytes``, as a number or like ``"64MiB"``.
        on_error: ``"keep"``: as above. ``"fail"``: a file that cannot be read fails its task, for a run that quarantines.
        storage_options: For fsspec.
    """

    input_path: str | None = None
    verbose: bool = False
    name: str = "video_reader"
    limits: VideoLimits = field(default_factory=VideoLimits)
    max_bytes_in_memory: int | str = _IN_MEMORY
    on_error: Literal["keep", "fail"] = "keep"
    storage_options: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.on_error not in ("keep", "fail"):
            message = f"stage {self.name!r}: on_error must be 'keep' or 'fail', got {self.on_error!r}"
            raise OptionError(message)
        self._most_in_memory = parse_bytes_string_to_int(self.max_bytes_in_memory)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a list of paths."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a video."""
        return ["data"], []

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if PyAV is not installed."""
        require_av(f"stage {self.name!r}")

    def process(self, task: FileGroupTask) -> VideoTask:
        """Read one video, whose path is a text or an `FSPath`.

        Raises:
            ValueError: The task has not exactly one file.
            InputError: With ``on_error="fail"``, the file is gone.
            DataError: With ``on_error="fail"``, it is no video, or beyond the limits.
        """
        if len(task.data) != 1:
            message = f"stage {self.name!r} reads one video a task, and task {task.task_id or task.dataset_name} has {len(task.data)} files"
            raise ValueError(message)
        path = task.paths[0]
        video = Video(input_video=self._where(task.data[0], path))
        step = "download"
        try:
            video.source_bytes = self._bytes(video.source)
            step = "metadata"
            video.populate_metadata(self.limits)
        except (InputError, DataError, OSError) as error:
            if self.on_error == "fail":
                raise (
                    error if isinstance(error, CuratorError) else InputError(f"{path} cannot be read: {error}")
                ) from error
            _log.warning("stage %r: %s", self.name, error)
            video.errors[step] = str(error)
            video.source_bytes = None
        if self.verbose:
            _log.info("stage %r: %s: %s", self.name, path, video.metadata)
        return VideoTask(dataset_name=task.dataset_name, data=video)

    def _where(self, given: object, path: str) -> Path | FSPath:
        if isinstance(given, FSPath) and is_remote_url(path):
            return given
        if is_remote_url(path):
            return FSPath(*resolve_url(path, self.storage_options))
        return Path(local_path(path))

    def _bytes(self, source: VideoSource) -> bytes | None:
        size = source_size(source)
        if size > self.limits.max_bytes:
            message = f"{self.name}: {source} has {size} bytes, more than max_bytes of VideoLimits accepts"
            raise DataError(message)
        return read_source(source) if size <= self._most_in_memory else None


@dataclass
class VideoReader(CompositeStage[EmptyTask, VideoTask]):
    """List videos and read them, one a task. The source of a video pipeline.

    Attributes:
        input_video_path: A folder (with all below it), a file, or a URL that fsspec knows; a page of links, on the web, ends in a slash.
        video_limit: Videos to read at most, the first by path; `None` or a number below 0 for all.
        verbose: Log a line for every video.
        limits: What a video may be at most.
        max_bytes_in_memory: See `VideoReaderStage`.
        on_error: See `VideoReaderStage`.
        storage_options: For fsspec.

    Raises:
        InputError: The local path does not exist, is not a video, or has no video below it. It is a FileNotFoundError too.
    """

    input_video_path: str
    video_limit: int | None = None
    verbose: bool = False
    name: str = "video_reader_composite"
    limits: VideoLimits = field(default_factory=VideoLimits)
    max_bytes_in_memory: int | str = _IN_MEMORY
    on_error: Literal["keep", "fail"] = "keep"
    storage_options: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        super().__init__()
        path = os.fspath(self.input_video_path)
        self.input_video_path = _place(path) if is_remote_url(path) else local_path(path)
        if not is_remote_url(path):
            self._check_local()

    def _check_local(self) -> None:
        path, wanted = self.input_video_path, ", ".join(VIDEO_EXTENSIONS)
        if not os.path.exists(path):
            message = f"there is no {path} to read videos from. Check the path"
            raise InputError(message)
        if os.path.isfile(path):
            if not has_extension(path, VIDEO_EXTENSIONS):
                message = f"{path} is not a video by its name; known: {wanted}"
                raise InputError(message)
            return
        found = iter_files(path, recurse=True, lazily=True)
        if not any(has_extension(file.path, VIDEO_EXTENSIONS) for file in found):
            message = f"there is no video in {path} or below; known: {wanted}"
            raise InputError(message)

    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        """Return the stage that lists and the one that reads."""
        limit = self.video_limit
        return [
            FilePartitioningStage(
                file_paths=self.input_video_path,
                files_per_partition=1,
                file_extensions=list(VIDEO_EXTENSIONS),
                storage_options=self.storage_options,
                limit=limit if limit is not None and limit > 0 else None,
            ),
            VideoReaderStage(
                input_path=self.input_video_path,
                verbose=self.verbose,
                limits=self.limits,
                max_bytes_in_memory=self.max_bytes_in_memory,
                on_error=self.on_error,
                storage_options=self.storage_options,
            ),
        ]


def _place(url: str) -> str:
    """Return a URL without a slash at its end, where that means nothing."""
    return url if url.startswith(("http://", "https://")) else url.rstrip("/")
