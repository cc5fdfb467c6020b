"""Near-duplicates by perceptual hash: the same picture in another size, another format, compressed harder, a little brighter."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, OptionError, require
from nemo_curator.stages.base import CompositeStage, ProcessingStage, Topology
from nemo_curator.stages.image.deduplication.hamming import MOST_DISTANCE, near_pairs, roots_of_pairs
from nemo_curator.stages.image.io.convert import ConvertImageBatchToDocumentBatchStage
from nemo_curator.stages.image.pixels import pixels_of
from nemo_curator.tasks import DocumentBatch, ImageBatch

if TYPE_CHECKING:
    import pyarrow as pa

    from nemo_curator.stages.image.deduplication.hamming import Array

__all__ = ["FindPerceptualDuplicates", "PerceptualDuplicateIdentification", "PerceptualHashStage"]

_FIELDS = ["image_id", "phash", "pixels"]
# What ImageQualityFilterStage adds; there may be none.
_QUALITY = "quality_distance"
_AS_LARGE = 0.8


class PerceptualHashStage(ProcessingStage[ImageBatch, ImageBatch]):
    """Adds ``phash`` to the metadata of images, 16 hexadecimal digits, and ``pixels``, width times height.

    The hash has 64 bits: which of the lowest 8 by 8 coefficients of a cosine transform of the grey image, scaled to 32 by 32, are above their
    median (pHash, as the package imagehash has it). It says little about images that are of one colour: those all look alike.

    Args:
        remove_image_data: Take the pixels away once they are hashed.
        name: Name of the stage.
    """

    def __init__(self, remove_image_data: bool = False, name: str = "perceptual_hash") -> None:
        self.remove_image_data = remove_image_data
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry images."""
        return ["data"], []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return that tasks carry images."""
        return ["data"], []

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if imagehash is not installed."""
        require("imagehash", extra="image", purpose=f"stage {self.name!r}")

    def process(self, task: ImageBatch) -> ImageBatch:
        """Return the images with their hashes.

        Raises:
            ValueError: An image has no pixels.
        """
        import imagehash
        import numpy as np
        from PIL import Image

        for image, pixels in zip(task.data, pixels_of(task.data, self.name), strict=True):
            digest = str(imagehash.phash(Image.fromarray(np.ascontiguousarray(pixels))))
            size = pixels.shape[0] * pixels.shape[1]
            image.metadata = {**image.metadata, "phash": digest, "pixels": size}
            if self.remove_image_data:
                image.image_data = None
        return task


class PerceptualDuplicateIdentification(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Finds near-duplicates among all images at once, and returns a row for every one to remove.

    Images whose hashes differ in at most `max_distance` bits are alike; what is alike to something alike is of one group. Of a group the image with
    the most pixels is kept. If `ImageQualityFilterStage` has judged them, it is the best one of those with at least four fifths of the most pixels, as an image
    that was scaled up a little is no better for it. Among equals it is the one of lowest id. It takes about 150 bytes an image in one worker.

    In: columns ``image_id``, ``phash``, ``pixels``, and perhaps ``quality_distance``. Out: ``id`` to remove, ``duplicate_of`` (the one kept) and ``distance`` between
    them, which may be above `max_distance` where others are between.

    Args:
        max_distance: Bits in which hashes may differ, of 64.
        name: Name of the stage.
    """

    topology = Topology.BARRIER
    is_resumable = False
    outputs_are_complete = True

    def __init__(self, max_distance: int = 8, name: str = "perceptual_duplicates") -> None:
        if not 0 <= max_distance <= MOST_DISTANCE:
            message = f"stage {name!r}: max_distance must be from 0 to {MOST_DISTANCE}, got {max_distance}"
            raise OptionError(message)
        self.max_distance = max_distance
        self.name = name

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return ids, hashes and sizes."""
        return ["data"], list(_FIELDS)

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what is said of an image to remove."""
        return ["data"], ["id", "duplicate_of", "distance"]

    def check_before_run(self) -> None:
        """Raise `MissingExtra` if NumPy or pyarrow is not installed."""
        for package in ("numpy", "pyarrow"):
            require(package, extra="image", purpose=f"stage {self.name!r}")

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Raise: duplicates are found among all images."""
        message = f"stage {self.name!r} works on all batches at once, through process_batch"
        raise NotImplementedError(message)

    def process_batch(self, tasks: list[DocumentBatch]) -> list[Any]:
        """Return one batch of what to remove, sorted by id; without rows if there is nothing.

        Raises:
            DataError: Two images have the same id, or a hash is not one.
        """
        import pyarrow as pa

        rows = pa.concat_tables([_rows(task) for task in tasks])
        return [DocumentBatch(tasks[0].dataset_name, self._duplicates(rows.sort_by("image_id")))]

    def _duplicates(self, rows: pa.Table) -> pa.Table:
        import numpy as np
        import pyarrow as pa

        ids = rows["image_id"].to_pylist()
        again = next((one for one, other in pairwise(ids) if one == other), None)
        if again is not None:
            message = (
                f"stage {self.name!r}: several images have the id {again!r}, so none of them could be removed alone. Archives of the same name "
                "give the same ids; give them different names"
            )
            raise DataError(message)
        hashes = np.array([self._number(text) for text in rows["phash"].to_pylist()], dtype=np.uint64)
        sizes = rows["pixels"].to_numpy()
        first, second = near_pairs(hashes, self.max_distance)
        groups = roots_of_pairs(first, second, len(ids))
        kept = _best(groups, sizes, rows[_QUALITY].fill_null(float("inf")).to_numpy())
        keeper = kept[groups]
        gone = np.flatnonzero(keeper != np.arange(len(ids)))
        distances = np.bitwise_count(hashes[gone] ^ hashes[keeper[gone]])
        return pa.table(
            {
                "id": pa.array([ids[at] for at in gone], pa.string()),
                "duplicate_of": pa.array([ids[keeper[at]] for at in gone], pa.string()),
                "distance": pa.array(distances.astype(np.int64)),
            }
        )

    def _number(self, text: Any) -> int:
        try:
            return int(text, 16)
        except (TypeError, ValueError) as error:
            message = f"stage {self.name!r}: {text!r} is not a hash; put PerceptualHashStage before"
            raise DataError(message) from error


def _best(groups: Array, sizes: Array, quality: Array) -> Array:
    """Return for each group, at the position of its lowest member, the member to keep."""
    import numpy as np

    largest = np.zeros(len(groups), dtype=sizes.dtype)
    np.maximum.at(largest, groups, sizes)
    small = sizes < _AS_LARGE * largest[groups]
    # The last key counts first; among equals the order of ids stays.
    order = np.lexsort((-sizes, quality, small, groups))
    kept = np.full(len(groups), -1, dtype=np.int64)
    roots, first = np.unique(groups[order], return_index=True)
    kept[roots] = order[first]
    return kept


def _rows(task: DocumentBatch) -> pa.Table:
    import pyarrow as pa

    table = task.to_pyarrow()
    if _QUALITY not in table.column_names:
        table = table.append_column(_QUALITY, pa.nulls(len(table), pa.float64()))
    kinds = [pa.string(), pa.string(), pa.int64(), pa.float64()]
    return table.select([*_FIELDS, _QUALITY]).cast(pa.schema(list(zip([*_FIELDS, _QUALITY], kinds, strict=True))))


class FindPerceptualDuplicates(CompositeStage[ImageBatch, DocumentBatch]):
    """From images to the ids of near-duplicates: hashes, rows, identification. Write them with `ParquetWriter` for `ImageDuplicatesRemovalStage`.

    Args:
        max_distance: Bits in which hashes may differ, of 64.
    """

    def __init__(self, max_distance: int = 8) -> None:
        super().__init__()
        self.name = "find_perceptual_duplicates"
        self._identification = PerceptualDuplicateIdentification(max_distance)

    def decompose(self) -> list[ProcessingStage[Any, Any]]:
        """Return the three stages."""
        return [
            PerceptualHashStage(remove_image_data=True),
            ConvertImageBatchToDocumentBatchStage([*_FIELDS, _QUALITY]),
            self._identification,
        ]
