"""`ImageReaderStage`: images in tar archives, laid out as WebDataset does."""

from __future__ import annotations

import json
import logging
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal

from nemo_curator.errors import OptionError
from nemo_curator.stages.image.io.base_reader import (
    IMAGE_EXTENSIONS,
    DecodingStage,
    Sample,
    open_input,
    too_large,
    until_damage,
)
from nemo_curator.stages.image.io.decode import MAX_PIXELS, BadImage
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.archives import ArchiveLimits, iter_tar_files
from nemo_curator.utils.file_listing import normalize_extensions

__all__ = ["ImageReaderStage"]

_log = logging.getLogger(__name__)

_TEXTS = (".txt", ".caption", ".cls", ".json")
_MOST_OF_A_TEXT = 1 << 20


class ImageReaderStage(DecodingStage):
    """Reads images from tar archives. Its tasks name archives, as `FilePartitioningStage` finds them with ``file_extensions=[".tar"]``.

    An archive is read from front to back, compressed or not, and nothing is unpacked to disk. Files of one sample stand next to one another
    and share their name up to the first dot (the WebDataset convention). Of each sample the image is decoded, and what is in its ``.txt``,
    ``.caption``, ``.cls`` and ``.json`` goes into the metadata, beside ``tar_file`` and ``member``.

    Ids are ``<archive's name>_<number of the image in it, six digits>``, or ``group_<first archive's name>_x<archives>_<number>`` for a task of several;
    a bad image keeps its number. Archives of the same name in different folders give the same ids, so give them different names.

    Args:
        dali_batch_size: Images in a batch. The last one of a task has what is left.
        verbose: Log a line for every task.
        num_threads: How many images are decoded at a time; never more than the CPUs that the stage asks for. A worker has one CPU by
            default, and more workers use a machine as well as more threads: ``with_(resources=Resources(cpus=4))`` for four.
        num_gpus_per_worker: Taken for compatibility; images are decoded on the CPU.
        name: Name of the stage.
        extensions: Which members are images. Members of other kinds of images are passed over and counted as ``other_format``.
        shorter_side: See `DecodingStage`, as all below.
        max_pixels: Images with more are bad.
        max_file_bytes: Larger image files are bad, and not read.
        max_batch_bytes: A batch ends once its pixels take this many bytes.
        on_bad_image: ``"drop"`` or ``"fail"``.
        isolate_decoder: Decode in processes of their own.
        decode_timeout_s: Seconds that one image may take, with `isolate_decoder`.
        limits: Bounds for an archive.
        storage_options: For the filesystem of URLs.
    """

    def __init__(
        self,
        dali_batch_size: int = 100,
        verbose: bool = True,
        num_threads: int = 8,
        num_gpus_per_worker: float = 0.25,
        name: str = "image_reader",
        *,
        extensions: Sequence[str] = (".jpg",),
        shorter_side: int | None = None,
        max_pixels: int = MAX_PIXELS,
        max_file_bytes: int = 256 << 20,
        max_batch_bytes: int = 1 << 30,
        on_bad_image: Literal["drop", "fail"] = "drop",
        isolate_decoder: bool = False,
        decode_timeout_s: float = 30.0,
        limits: ArchiveLimits | None = None,
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            dali_batch_size,
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
        if isinstance(extensions, str) or not extensions:
            message = f"stage {name!r}: extensions must be a list such as ['.jpg', '.png'], got {extensions!r}"
            raise OptionError(message)
        self.dali_batch_size = dali_batch_size
        self.num_gpus_per_worker = num_gpus_per_worker
        self.extensions = tuple(normalize_extensions(extensions))
        # An image that is too large is passed over, not a reason to give the archive up; so that one bound is ours.
        self.limits = limits or ArchiveLimits(max_members=10_000_000, max_total_bytes=1 << 40)

    def dataset_of(self, task: FileGroupTask) -> str:
        """Return ``tar_files``."""
        return "tar_files"

    def samples(self, task: FileGroupTask) -> Iterator[Sample]:
        """Yield the images of the archives, one archive after the other.

        Raises:
            InputError: An archive cannot be opened.
            DataError: It is no tar archive, it is damaged, or it is beyond the limits.
        """
        paths = task.paths
        stem = _stem(paths[0])
        base = stem if len(paths) == 1 else f"group_{stem}_x{len(paths)}"
        number = 0
        for path in paths:
            folder = posixpath.dirname(path)
            for member, content, texts in self._images_in(path):
                image_id = f"{base}_{number:06d}"
                number += 1
                metadata = {"tar_file": path, "member": member, **texts}
                yield Sample(image_id, posixpath.join(folder, f"{image_id}.jpg"), content, metadata)

    def _images_in(self, path: str) -> Iterator[tuple[str, bytes | BadImage, dict[str, Any]]]:
        """Yield name, content and accompanying texts of every image of an archive."""
        key, images, texts = "", list[tuple[str, bytes | BadImage]](), dict[str, Any]()
        members, damage = until_damage(self._members(path))
        for name, content in members:
            own = _key(name)
            if own != key:
                yield from ((*image, dict(texts)) for image in images)
                key, images, texts = own, [], {}
            if self._is_image(name):
                images.append((name, content))
            elif isinstance(content, bytes):
                extension = PurePosixPath(name).suffix.lower()
                texts[extension[1:]] = _text(content, extension)
        yield from ((*image, dict(texts)) for image in images)
        if damage:
            raise damage[0]

    def _members(self, path: str) -> Iterator[tuple[str, bytes | BadImage]]:
        passed: list[tuple[str, BadImage]] = []
        others: Counter[str] = Counter()

        def wanted(name: str, size: int) -> bool:
            if _is_junk(name):
                return False
            if self._is_image(name):
                if size > self.max_file_bytes:
                    passed.append((name, too_large(size, self.max_file_bytes)))
                return size <= self.max_file_bytes
            extension = PurePosixPath(name).suffix.lower()
            if extension in IMAGE_EXTENSIONS:
                others[extension] += 1
            return extension in _TEXTS and size <= _MOST_OF_A_TEXT

        with open_input(path, self.storage_options, self.name) as stream:
            for name, content in iter_tar_files(stream, path, self.limits, wanted):
                # What was passed over on the way to this file comes before it.
                yield from passed
                passed.clear()
                yield name, content
        yield from passed
        if others:
            self.record_drops("other_format", others.total())
            found = ", ".join(f"{count} {extension}" for extension, count in sorted(others.items()))
            message = "stage %r: %s has images that were not asked for (%s); name them with extensions=[...]"
            _log.warning(message, self.name, path, found)

    def _is_image(self, name: str) -> bool:
        return name.lower().endswith(self.extensions)


def _stem(path: str) -> str:
    return posixpath.basename(path).partition(".")[0]


def _key(name: str) -> str:
    folder, base = posixpath.split(name)
    return posixpath.join(folder, base.partition(".")[0])


def _is_junk(name: str) -> bool:
    # What macOS puts beside every file.
    return posixpath.basename(name).startswith("._")


def _text(content: bytes, extension: str) -> Any:
    text = content.decode("utf-8", "replace")
    if extension != ".json":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
