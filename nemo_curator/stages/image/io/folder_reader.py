"""`ImageFolderReader`: image files, each by itself, in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from nemo_curator.errors import InputError
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.image.io.base_reader import IMAGE_EXTENSIONS, DecodingStage, Sample, open_input, too_large
from nemo_curator.stages.image.io.decode import MAX_PIXELS, BadImage
from nemo_curator.tasks import EmptyTask, FileGroupTask, ImageBatch
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path

__all__ = ["ImageFolderReader", "ImageFolderReaderStage"]


class ImageFolderReaderStage(DecodingStage):
    """Reads image files. Its tasks name them.

    The content says what format a file has, whatever it is called. A file that is gone or may not be read is a bad image as well
    (``unreadable``), as thousands of others may be in order.

    Args:
        root: Folder that ids are relative to: ``cats/1.jpg``. Without it, and for files elsewhere, the whole path is the id.
        batch_images: Images in a batch.
        num_threads: See `DecodingStage`, as all below.
        shorter_side: Scale images down as they are decoded.
        max_pixels: Images with more are bad.
        max_file_bytes: Larger files are bad, and not read.
        max_batch_bytes: A batch ends once its pixels take this many bytes.
        on_bad_image: ``"drop"`` or ``"fail"``.
        isolate_decoder: Decode in processes of their own.
        decode_timeout_s: Seconds that one image may take, with `isolate_decoder`.
        storage_options: For the filesystem of URLs.
        verbose: Log a line for every task.
        name: Name of the stage.
    """

    def __init__(
        self,
        root: str | None = None,
        batch_images: int = 100,
        num_threads: int = 8,
        *,
        shorter_side: int | None = None,
        max_pixels: int = MAX_PIXELS,
        max_file_bytes: int = 256 << 20,
        max_batch_bytes: int = 1 << 30,
        on_bad_image: Literal["drop", "fail"] = "drop",
        isolate_decoder: bool = False,
        decode_timeout_s: float = 30.0,
        storage_options: dict[str, Any] | None = None,
        verbose: bool = False,
        name: str = "image_folder_reader",
    ) -> None:
        super().__init__(
            batch_images,
            num_threads,
            shorter_side=shorter_side,
            max_pixels=max_pixels,
            max_file_bytes=max_file_bytes,
            max_batch_bytes=max_batch_bytes,
            on_bad_image=on_bad_image,
            isolate_decoder=isolate_decoder,
            decode_timeout_s=decode_timeout_s,
            storage_options=storage_options,
            verbose=verbose,
            name=name,
        )
        self.root = None if root is None else (root.rstrip("/") if is_remote_url(root) else local_path(root))

    def samples(self, task: FileGroupTask) -> Iterator[Sample]:
        """Yield the files."""
        for path in task.paths:
            yield Sample(self._id(path), path, self._content(path))

    def _content(self, path: str) -> bytes | BadImage:
        try:
            with open_input(path, self.storage_options, self.name) as stream:
                data = stream.read(self.max_file_bytes + 1)
        except (InputError, OSError) as error:
            return BadImage(str(error), "unreadable")
        return data if len(data) <= self.max_file_bytes else too_large(len(data), self.max_file_bytes)

    def _id(self, path: str) -> str:
        if self.root is not None:
            root, inner = _bare(self.root), _bare(path)
            if inner.startswith(f"{root}/"):
                return inner[len(root) + 1 :]
        return path


def _bare(path: str) -> str:
    # A filesystem may write its URLs with more slashes than the user did.
    return path.partition("://")[2].lstrip("/") if is_remote_url(path) else path


class ImageFolderReader(CompositeStage[EmptyTask, ImageBatch]):
    """Lists the image files of a folder with all its subfolders, then reads them.

    Args:
        path: The folder, local or a URL that fsspec knows.
        files_per_partition: Files in a task.
        batch_images: Images in a batch; as many as a task has by default.
        file_extensions: What file names must end in.
        storage_options: For the filesystem of a URL.
        reader_options: More arguments for `ImageFolderReaderStage`.
    """

    def __init__(
        self,
        path: str,
        files_per_partition: int = 100,
        batch_images: int | None = None,
        *,
        file_extensions: Sequence[str] = IMAGE_EXTENSIONS,
        storage_options: dict[str, Any] | None = None,
        **reader_options: Any,
    ) -> None:
        super().__init__()
        self.name = "image_folder"
        self._partitioning = FilePartitioningStage(
            file_paths=path,
            files_per_partition=files_per_partition,
            file_extensions=list(file_extensions),
            storage_options=storage_options,
        )
        self._reader = ImageFolderReaderStage(
            path, batch_images or files_per_partition, storage_options=storage_options, **reader_options
        )

    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        """Return the stage that lists files and the stage that reads them."""
        return [self._partitioning, self._reader]

    def get_description(self) -> str:
        """Return what is read."""
        return f"Read the images in {self._partitioning.file_paths}"
