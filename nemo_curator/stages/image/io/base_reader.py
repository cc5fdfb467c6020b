"""What the readers of images have in common: files of images in, batches of pixels out, and what becomes of those that are bad."""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any, Literal, TypeVar, cast

from nemo_curator.errors import DataError, InputError, OptionError, require
from nemo_curator.models.loaded import loaded
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.io.decode import BadImage, DecodeOptions
from nemo_curator.stages.image.io.decoders import Decoders
from nemo_curator.stages.worker_info import WorkerMetadata
from nemo_curator.tasks import FileGroupTask, ImageBatch, ImageObject
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import resolve_url

__all__ = ["IMAGE_EXTENSIONS", "DecodingStage", "Sample", "open_input", "too_large", "until_damage"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")

_SHOWN = 5


def _nothing() -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Sample:
    """An image file that was read and not decoded yet.

    Attributes:
        image_id: Its id in the data set.
        image_path: Where it is said to be.
        content: The file, or why it was not read.
        metadata: What travels with it.
    """

    image_id: str
    image_path: str
    content: bytes | BadImage
    metadata: dict[str, Any] = field(default_factory=_nothing)


class DecodingStage(ProcessingStage[FileGroupTask, ImageBatch]):
    """Reads and decodes images. A subclass yields the files, through `samples`.

    Args:
        batch_images: Images in a batch.
        num_threads: How many images are decoded at a time; never more than the CPUs that the stage asks for.
        shorter_side: Scale images down as they are decoded, so that their shorter side has this many pixels.
        max_pixels: Images with more, as their header says it, are bad.
        max_file_bytes: Larger image files are bad, and not read.
        max_batch_bytes: A batch ends once its pixels take this many bytes, so that large images do not fill the memory.
        on_bad_image: What becomes of an image that cannot be decoded. ``"drop"``: it is left out, with its reason in the report and a
            warning. ``"fail"``: its task fails.
        isolate_decoder: Decode in processes of their own, one a thread. What crashes or hangs the decoder is then a bad image like others
            (``decoder_crashed``, ``decoder_timeout``); otherwise it costs the worker, and the whole task is given up.
        decode_timeout_s: Seconds that one image may take, with `isolate_decoder`.
        storage_options: For the filesystem of URLs.
        verbose: Log a line for every task.
        name: Name of the stage.
    """

    def __init__(
        self,
        batch_images: int,
        num_threads: int,
        *,
        shorter_side: int | None,
        max_pixels: int,
        max_file_bytes: int,
        max_batch_bytes: int,
        on_bad_image: Literal["drop", "fail"],
        isolate_decoder: bool,
        decode_timeout_s: float,
        storage_options: dict[str, Any] | None,
        verbose: bool,
        name: str,
    ) -> None:
        counts = {
            "images in a batch": batch_images,
            "num_threads": num_threads,
            "max_file_bytes": max_file_bytes,
            "max_batch_bytes": max_batch_bytes,
            "decode_timeout_s": decode_timeout_s,
        }
        for option, value in counts.items():
            if value <= 0:
                message = f"stage {name!r}: {option} must be positive, got {value}"
                raise OptionError(message)
        if on_bad_image not in {"drop", "fail"}:
            message = f"stage {name!r}: on_bad_image must be 'drop' or 'fail', got {on_bad_image!r}"
            raise OptionError(message)
        self.name = name
        self.batch_images = batch_images
        self.num_threads = num_threads
        self.decode_options = DecodeOptions(shorter_side, max_pixels)
        self.max_file_bytes = max_file_bytes
        self.max_batch_bytes = max_batch_bytes
        self.on_bad_image = on_bad_image
        self.isolate_decoder = isolate_decoder
        self.decode_timeout_s = decode_timeout_s
        self.storage_options = storage_options
        self.verbose = verbose

    @abstractmethod
    def samples(self, task: FileGroupTask) -> Iterator[Sample]:
        """Yield the image files of a task, the same in the same order each time."""

    def dataset_of(self, task: FileGroupTask) -> str:
        """Return the name of the data set that batches belong to; the task's, unless a subclass says otherwise."""
        return task.dataset_name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a list of paths."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what is known of an image once it is read."""
        return ["data"], ["image_data", "image_path", "image_id"]

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if Pillow or NumPy is not installed."""
        for package in ("PIL", "numpy"):
            require(package, extra="image", purpose=f"stage {self.name!r}")

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Start threads, or make ready for processes."""
        if "decoders" not in loaded(self):
            threads = max(1, min(self.num_threads, int(self.resources.cpus)))
            loaded(self)["decoders"] = Decoders(
                self.decode_options, threads, isolated=self.isolate_decoder, timeout_s=self.decode_timeout_s
            )

    def teardown(self) -> None:
        """End threads and processes."""
        decoders: Decoders | None = loaded(self).pop("decoders", None)
        if decoders is not None:
            decoders.close()

    def process(self, task: FileGroupTask) -> Iterator[ImageBatch]:
        """Yield batches of images, one at a time: how many images a task has does not matter for the memory.

        Raises:
            ValueError: The task names no files.
            InputError: A file is gone or may not be read.
            DataError: An archive is damaged; what came before the damage was yielded. Or an image is bad, with ``on_bad_image="fail"``.
        """
        if not task.data:
            message = (
                f"stage {self.name!r}: task {task.task_id or task.dataset_name} names no files to read images from"
            )
            raise ValueError(message)
        self.setup()
        return self._batches(task)

    def _batches(self, task: FileGroupTask) -> Iterator[ImageBatch]:
        batch: list[ImageObject] = []
        nbytes = read = bad = 0
        samples, damage = until_damage(self.samples(task))
        while window := list(islice(samples, self._threads)):
            for sample, pixels in zip(window, self._decoded(window), strict=True):
                read += 1
                if isinstance(pixels, BadImage):
                    bad += 1
                    self._leave_out(sample, pixels, bad)
                    continue
                batch.append(ImageObject(sample.image_path, sample.image_id, sample.metadata, pixels))
                nbytes += pixels.nbytes
                if len(batch) >= self.batch_images or nbytes >= self.max_batch_bytes:
                    yield ImageBatch(self.dataset_of(task), batch)
                    batch, nbytes = [], 0
        if batch:
            yield ImageBatch(self.dataset_of(task), batch)
        if self.verbose:
            _log.info("stage %r: %s: %d images read, %d of them bad", self.name, task.data[0], read, bad)
        if damage:
            raise damage[0]

    @property
    def _threads(self) -> int:
        decoders: Decoders = loaded(self)["decoders"]
        return decoders.threads

    def _decoded(self, window: list[Sample]) -> list[Any]:
        decoders: Decoders = loaded(self)["decoders"]
        return decoders.decode([sample.content for sample in window])

    def _leave_out(self, sample: Sample, why: BadImage, count: int) -> None:
        where = f"{sample.metadata.get('member', sample.image_path)} ({sample.image_id})"
        if self.on_bad_image == "fail":
            message = (
                f"stage {self.name!r}: {where} is not a usable image: {why}. on_bad_image='drop' leaves such images out"
            )
            raise BadImage(message, why.reason) from why
        self.record_drops(why.reason, 1)
        if count <= _SHOWN:
            more = "; further ones of this task are only counted" if count == _SHOWN else ""
            _log.warning("stage %r: left out %s: %s%s", self.name, where, why, more)


def until_damage(read: Iterable[T]) -> tuple[Iterator[T], list[Exception]]:
    """Return an iterator that ends where the given one raises, and a list that then holds what it raised.

    What was read before an archive breaks off is good, and goes on first.
    """
    damage: list[Exception] = []

    def until() -> Iterator[T]:
        try:
            yield from read
        except (DataError, InputError) as error:
            damage.append(error)

    return until(), damage


@contextmanager
def open_input(path: str, storage_options: dict[str, Any] | None, stage: str) -> Iterator[IO[bytes]]:
    """Open a file, local or a URL.

    Raises:
        InputError: It is not there, or may not be read.
    """
    try:
        if is_remote_url(path):
            fs, inner = resolve_url(path, storage_options)
            handle = cast("IO[bytes]", fs.open(inner, "rb"))
        else:
            handle = open(path, "rb")  # noqa: SIM115 - closed below, where errors of reading are not mistaken for errors of opening
    except InputError:
        raise
    except OSError as error:
        message = f"stage {stage!r}: cannot read {os.fspath(path)}: {error.strerror or error}"
        raise InputError(message) from error
    with handle:
        yield handle


def too_large(size: int, most: int) -> BadImage:
    """Return what is wrong with a file of `size` bytes."""
    return BadImage(f"the file has {size} bytes; max_file_bytes is {most}", "file_too_large")
