"""`ImageWriterStage`: images as JPEG in tar archives, with a Parquet file beside each."""

from __future__ import annotations

import io
import logging
import os
import re
import secrets
import tarfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, OptionError, OutputError, require
from nemo_curator.models.loaded import loaded
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.io.columns import check_fields, image_table
from nemo_curator.tasks import FileGroupTask, ImageBatch, ImageObject
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_listing import local_path
from nemo_curator.utils.hash_utils import get_deterministic_hash
from nemo_curator.utils.output_manifest import DigestingHandle, OutputFolder, RunOutput, WrittenFile

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageWriterStage"]

_log = logging.getLogger(__name__)

_JPEG_QUALITY = 92
_JPEG_SIDE = 65_535
_COLUMNS = ("image_id", "tar_file", "member_name", "original_path", "metadata")
_IMAGE_SUFFIX = re.compile(r"\.(jpe?g|png|webp|gif|bmp|tiff?|avif)$", re.IGNORECASE)
_NOT_IN_NAMES = re.compile(r"[^\w\-+=@ /]")


class ImageWriterStage(ProcessingStage[ImageBatch, FileGroupTask]):
    """Writes every batch as tar archives of JPEG files (quality 92), each with a Parquet file of the same name.

    Names are ``images-<hash>-<number>.tar`` and ``.parquet``. The hash is made from the paths of the images and the task's id: writing a
    batch again, after a crash or in another run, replaces its files by the same. A file appears under its name when it is complete.
    Members are called after the ids of images, without what leads out of a folder, and without dots, behind which WebDataset looks for kinds.
    When the run is complete a manifest is laid down that names every file, see `nemo_curator.utils.output_manifest`. Building the stage
    touches nothing; the folder is made when the first file is written.

    Args:
        output_dir: The folder, local or a URL that fsspec knows.
        images_per_tar: Images in an archive. A batch is cut into archives; batches are not put together, so the reader's or
            `with_`'s batch size bounds it too.
        verbose: Log a line for every task.
        deterministic_name: Name files after their content's origin. Otherwise by chance: then what was written before a crash stays too.
        remove_image_data: Take the pixels from the images once they are written, which frees memory if others hold them.
        name: Name of the stage.
        extra_fields: More columns for the Parquet files: attributes of images or keys of their metadata.
        storage_options: For the filesystem of a URL.
    """

    def __init__(
        self,
        output_dir: str,
        images_per_tar: int = 1000,
        verbose: bool = False,
        deterministic_name: bool = True,
        remove_image_data: bool = False,
        name: str = "image_writer",
        *,
        extra_fields: Sequence[str] = (),
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        if images_per_tar < 1:
            message = f"stage {name!r}: images_per_tar must be at least 1, got {images_per_tar}"
            raise OptionError(message)
        path = os.fspath(output_dir)
        self.output_dir = path.rstrip("/") if is_remote_url(path) else local_path(path)
        self.images_per_tar = images_per_tar
        self.verbose = verbose
        self.deterministic_name = deterministic_name
        self.remove_image_data = remove_image_data
        self.name = name
        self.extra_fields = [field for field in check_fields(extra_fields, name) if field not in _COLUMNS]
        self._folder = OutputFolder(self.output_dir, storage_options)

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry images."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry a list of paths."""
        return ["data"], []

    def check_before_run(self) -> None:
        """Raise `OutputError` if the folder cannot be written to, `MissingExtra` if a package is not installed."""
        for package in ("PIL", "numpy", "pyarrow"):
            require(package, extra="image", purpose=f"stage {self.name!r}")
        if is_remote_url(self.output_dir):
            return
        existing = self.output_dir
        while not os.path.lexists(existing):
            existing = os.path.dirname(existing)
        if not os.path.isdir(existing) or not os.access(existing, os.W_OK | os.X_OK):
            message = f"stage {self.name!r}: cannot write to {self.output_dir}: {existing} is not a folder that this user may write to"
            raise OutputError(message)

    def commit_output(self, output: RunOutput) -> None:
        """Lay the manifest down."""
        self._folder.commit(output)

    def process(self, task: ImageBatch) -> FileGroupTask | None:
        """Write the batch; the result names the archives, then the Parquet files. A batch without images is dropped.

        Raises:
            ValueError: An image has no pixels.
            DataError: Pixels are of a shape that is no image.
            OutputError: A file cannot be written: no space, no permission, no connection.
        """
        images = self._writable(task)
        if not images:
            return None
        if len(images) < self.images_per_tar and not loaded(self).get("warned"):
            loaded(self)["warned"] = True
            message = "stage %r: images_per_tar is %d, but a batch has %d images, so archives have no more"
            _log.warning(message, self.name, self.images_per_tar, len(images))
        base = self._base_name(task)
        tars: list[str] = []
        tables: list[str] = []
        for number, start in enumerate(range(0, len(images), self.images_per_tar)):
            name = f"{base}-{number:06d}"
            chunk = images[start : start + self.images_per_tar]
            try:
                members = self._write_tar(f"{name}.tar", chunk)
                self._write_table(f"{name}.parquet", f"{name}.tar", chunk, members, task)
            except OSError as error:
                message = (
                    f"stage {self.name!r}: cannot write {self._folder.url(name)}: {error.strerror or error}. "
                    "No part of the file was left; files written before are complete"
                )
                raise OutputError(message) from error
            tars.append(self._folder.url(f"{name}.tar"))
            tables.append(self._folder.url(f"{name}.parquet"))
        if self.remove_image_data:
            for image in images:
                image.image_data = None
        if self.verbose:
            _log.info("stage %r: %d images in %d archives of %s", self.name, len(images), len(tars), self.output_dir)
        return FileGroupTask(
            dataset_name=task.dataset_name,
            data=[*tars, *tables],
            _metadata={
                "output_dir": self.output_dir,
                "images_per_tar": self.images_per_tar,
                "num_images": len(images),
            },
        )

    def _writable(self, task: ImageBatch) -> list[ImageObject]:
        for image in task.data:
            if image.image_data is None:
                message = (
                    f"stage {self.name!r}: image {image.image_id!r} of task {task.task_id or task.dataset_name} has no pixels "
                    "(image_data). A stage before has removed them; look for remove_image_data=True"
                )
                raise ValueError(message)
        images = [image for image in task.data if _fits_jpeg(image)]
        left_out = len(task.data) - len(images)
        if left_out:
            message = "stage %r: left out %d images with sides that JPEG cannot have (0, or above %d pixels)"
            _log.warning(message, self.name, left_out, _JPEG_SIDE)
            self.record_drops("not_for_jpeg", left_out)
        return images

    def _base_name(self, task: ImageBatch) -> str:
        if not self.deterministic_name:
            return f"images-{secrets.token_hex(8)}"
        # Several images may be from one path, as when a stage makes two of one.
        seeds = [
            f"{image.image_path}\n{image.image_id}" if task.task_id == "" else image.image_path for image in task.data
        ]
        return f"images-{get_deterministic_hash(seeds, task.task_id)}"

    def _write_tar(self, name: str, images: Sequence[ImageObject]) -> list[str]:
        members: list[str] = []
        taken: set[str] = set()
        # Without names and times of whoever writes it, an archive is the same each time.
        with (
            self._folder.writing(name) as handle,
            tarfile.open(fileobj=handle, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for index, image in enumerate(images):
                member = _member_name(image.image_id, index, taken)
                content = _as_jpeg(image)
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
                members.append(member)
        self._record(name, len(images), handle)
        return members

    def _write_table(
        self, name: str, tar: str, images: Sequence[ImageObject], members: list[str], task: ImageBatch
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        where = f"stage {self.name!r}: task {task.task_id or task.dataset_name}"
        columns = {
            "image_id": [image.image_id for image in images],
            "tar_file": [self._folder.url(tar)] * len(images),
            "member_name": members,
            "original_path": [image.image_path for image in images],
            "metadata": [repr(image.metadata) for image in images],
        }
        table = pa.table({key: pa.array(values, pa.string()) for key, values in columns.items()})
        extra = image_table(images, self.extra_fields, where)
        for key in self.extra_fields:
            table = table.append_column(key, extra[key])
        with self._folder.writing(name) as handle:
            pq.write_table(table, handle)
        self._record(name, len(images), handle)

    def _record(self, name: str, rows: int, handle: DigestingHandle) -> None:
        self.record_written(WrittenFile(self._folder.url(name), rows, handle.nbytes, handle.sha256))


def _member_name(image_id: str, index: int, taken: set[str]) -> str:
    """Return a name for a member that stays in its folder and is unlike others, also up to the first dot, as WebDataset needs it."""
    stem = _IMAGE_SUFFIX.sub("", image_id.replace("\\", "/"))
    parts = [_NOT_IN_NAMES.sub("_", part) for part in stem.split("/") if part.strip(". ")]
    name = "/".join(parts) or f"{index:06d}"
    if name in taken:
        name = f"{name}_{index:06d}"
    taken.add(name)
    return f"{name}.jpg"


def _fits_jpeg(image: ImageObject) -> bool:
    pixels: Any = image.image_data
    return all(1 <= side <= _JPEG_SIDE for side in pixels.shape[:2])


def _as_jpeg(image: ImageObject) -> bytes:
    buffer = io.BytesIO()
    _picture(image).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _picture(image: ImageObject) -> Image:
    """Return the pixels as Pillow has them: one channel is grey, three are RGB, four RGBA on white; of others the first three count."""
    import numpy as np
    from PIL import Image as Images

    pixels: Any = image.image_data
    if pixels.ndim not in {2, 3} or (pixels.ndim == 3 and pixels.shape[2] in {0, 2}):
        message = f"image {image.image_id!r} has pixels of shape {pixels.shape}; expected (height, width) or (height, width, channels)"
        raise DataError(message)
    if pixels.dtype != np.uint8:
        pixels = np.clip(np.nan_to_num(pixels), 0, 255).astype(np.uint8)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return Images.fromarray(np.ascontiguousarray(pixels.reshape(pixels.shape[:2])))
    if pixels.shape[2] == 4:
        with_alpha = Images.fromarray(np.ascontiguousarray(pixels))
        return Images.alpha_composite(Images.new("RGBA", with_alpha.size, (255, 255, 255, 255)), with_alpha).convert(
            "RGB"
        )
    return Images.fromarray(np.ascontiguousarray(pixels[:, :, :3]))
