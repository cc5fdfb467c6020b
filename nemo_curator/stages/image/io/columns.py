"""What is known of images as columns of a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, OptionError
from nemo_curator.tasks import ImageObject

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_fields", "image_table"]

_ATTRIBUTES = tuple(each.name for each in fields_of(ImageObject))


def check_fields(fields: Sequence[str], stage: str) -> list[str]:
    """Return the fields as a list.

    Raises:
        OptionError: Pixels are among them, or a name is there twice.
    """
    names = list(fields)
    if "image_data" in names:
        message = f"stage {stage!r}: pixels do not fit into a column; ImageWriterStage writes images"
        raise OptionError(message)
    if len(set(names)) != len(names):
        message = f"stage {stage!r}: fields are named twice: {', '.join(names)}"
        raise OptionError(message)
    return names


def image_table(images: Sequence[ImageObject], fields: Sequence[str], where: str) -> pa.Table:
    """Return a table of one row an image.

    A field is an attribute of `ImageObject` or else a key of its metadata; null where an image has none. Embeddings are a fixed-size list of
    float32, all metadata at once (``metadata``) is text in JSON.

    Raises:
        DataError: Embeddings have different lengths, or values of a key different types.
    """
    import pyarrow as pa

    columns = {name: [_value(image, name) for image in images] for name in fields}
    try:
        return pa.table({name: _column(name, values) for name, values in columns.items()})
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
        message = f"{where}: what images have for {', '.join(fields)} does not fit into columns: {error}"
        raise DataError(message) from error


def _value(image: ImageObject, name: str) -> Any:
    if name == "metadata":
        return json.dumps(image.metadata, ensure_ascii=False, default=str)
    return getattr(image, name) if name in _ATTRIBUTES else image.metadata.get(name)


def _column(name: str, values: list[Any]) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    if name != "embedding":
        kinds = {"image_id": pa.string(), "image_path": pa.string(), "metadata": pa.string()}
        return pa.array(values, kinds.get(name, pa.float64() if name in _ATTRIBUTES else None))
    known = [np.asarray(value, dtype=np.float32).reshape(-1) for value in values if value is not None]
    if not known:
        return pa.nulls(len(values), pa.list_(pa.float32()))
    return pa.array(
        [None if value is None else np.asarray(value, dtype=np.float32).reshape(-1) for value in values],
        pa.list_(pa.float32(), len(known[0])),
    )
