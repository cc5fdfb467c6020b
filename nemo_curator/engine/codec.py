"""Tasks as plain data, to be kept on disk and read again without trust: no pickle, no import, no constructor is run.

What is written is a tree of JSON values, and blobs beside it for what is large. Reading it back makes only what is named here, and
objects of classes that the program has loaded by itself: tasks, dataclasses and enums. So a file from elsewhere can be wrong, but
it cannot do anything.
"""

# Arrays and tables come from packages without types, and a decoder looks at anything.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import io
import math
import pathlib
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from nemo_curator.errors import DataError
from nemo_curator.tasks import Task

__all__ = ["CodecError", "decode", "encode"]

_TAG = "$"
_DEEPEST = 100
_SMALL = 1 << 53
_IN_TREE = 256


class CodecError(DataError):
    """A task cannot be made into plain data, or plain data is not a task."""


def encode(task: Task[Any]) -> tuple[Any, list[bytes]]:
    """Return a task as a tree of JSON values and blobs that the tree refers to.

    Raises:
        CodecError: It holds something that is not plain data; the message says what and where.
    """
    encoder = _Encoder()
    tree = encoder.value(task, "task", 0)
    return tree, encoder.blobs


def decode(tree: Any, blobs: Sequence[bytes]) -> Task[Any]:
    """Return the task that `encode` was given.

    Raises:
        CodecError: This is not what `encode` returned, or a class that it names is not loaded.
    """
    try:
        found = _Decoder(blobs).value(tree, 0)
    except CodecError:
        raise
    except Exception as error:  # whatever a wrong tree leads to, it is a wrong tree
        message = f"what was kept of a task cannot be read: {type(error).__name__}: {error}"
        raise CodecError(message) from error
    if not isinstance(found, Task):
        message = f"what was kept is no task, but {type(found).__name__}"
        raise CodecError(message)
    return cast("Task[Any]", found)


class _Encoder:
    def __init__(self) -> None:
        self.blobs: list[bytes] = []

    def value(self, value: Any, path: str, depth: int) -> Any:
        if depth > _DEEPEST:
            message = f"{path} is nested more than {_DEEPEST} levels deep, or holds itself"
            raise CodecError(message)
        kind = type(value)
        if value is None or kind in (bool, str):
            return value
        make = _ENCODERS.get(kind)
        if make is not None:
            return make(self, value, path, depth + 1)
        if isinstance(value, enum.Enum):
            return {_TAG: "enum", "class": _name_of(kind, path), "name": value.name}
        if isinstance(value, pathlib.PurePath):
            return {_TAG: "path", "value": str(value)}
        if isinstance(value, Task) or dataclasses.is_dataclass(value):
            return self._object(value, path, depth + 1)
        foreign = self._foreign(value, kind)
        if foreign is not None:
            return foreign
        message = (
            f"{path} is a {kind.__module__}.{kind.__qualname__}, which cannot be kept on disk; tasks are kept if they hold plain "
            "values, arrays, tables and dataclasses of these"
        )
        raise CodecError(message)

    def integer(self, value: int, _path: str, _depth: int) -> Any:
        return value if -_SMALL < value < _SMALL else {_TAG: "int", "value": hex(value)}

    def real(self, value: float, _path: str, _depth: int) -> Any:
        return value if math.isfinite(value) else {_TAG: "float", "value": repr(value)}

    def data(self, value: bytes | bytearray, _path: str, _depth: int) -> Any:
        tag = "bytes" if isinstance(value, bytes) else "bytearray"
        if len(value) <= _IN_TREE:
            return {_TAG: tag, "value": base64.b64encode(value).decode()}
        return {_TAG: tag, "blob": self._blob(bytes(value))}

    def members(self, value: Sequence[Any], path: str, depth: int) -> Any:
        items = [self.value(item, f"{path}[{index}]", depth) for index, item in enumerate(value)]
        return items if isinstance(value, list) else {_TAG: type(value).__name__, "items": items}

    def mapping(self, value: Mapping[Any, Any], path: str, depth: int) -> Any:
        items = [
            [self.value(key, f"{path} key {key!r}", depth), self.value(item, f"{path}[{key!r}]", depth)]
            for key, item in value.items()
        ]
        return {_TAG: "dict", "items": items}

    def text(self, value: Any, _path: str, _depth: int) -> Any:
        return {_TAG: type(value).__name__, "value": str(value)}

    def moment(self, value: datetime.date, _path: str, _depth: int) -> Any:
        return {_TAG: type(value).__name__, "value": value.isoformat()}

    def duration(self, value: datetime.timedelta, _path: str, _depth: int) -> Any:
        return {_TAG: "timedelta", "value": [value.days, value.seconds, value.microseconds]}

    def _object(self, value: Any, path: str, depth: int) -> Any:
        attributes = dict(vars(value)) if hasattr(value, "__dict__") else {}
        for field in dataclasses.fields(value) if dataclasses.is_dataclass(value) else ():
            if hasattr(value, field.name):
                attributes.setdefault(field.name, getattr(value, field.name))
        items = {name: self.value(item, f"{path}.{name}", depth) for name, item in attributes.items()}
        return {_TAG: "object", "class": _name_of(cast("type", type(value)), path), "attributes": items}

    def _foreign(self, value: Any, kind: type) -> Any:
        """Return an array or a table as a blob; nothing for anything else. Their packages are loaded, or there would be none."""
        package = kind.__module__.partition(".")[0]
        if package == "numpy":
            import numpy as np

            if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
                array = cast("Any", np.asarray(value))
                file = io.BytesIO()
                np.save(file, array, allow_pickle=False)
                tag = "array" if isinstance(value, np.ndarray) else "scalar"
                return {_TAG: tag, "blob": self._blob(file.getvalue())}
        if package == "pandas":
            import pandas as pd

            if isinstance(value, pd.DataFrame):
                import pyarrow as pa

                return {_TAG: "frame", "blob": self._blob(_arrow_bytes(pa.Table.from_pandas(value)))}
        if package == "pyarrow":
            import pyarrow as pa

            if isinstance(value, pa.Table):
                return {_TAG: "table", "blob": self._blob(_arrow_bytes(value))}
        return None

    def _blob(self, data: bytes) -> int:
        self.blobs.append(data)
        return len(self.blobs) - 1


_ENCODERS: dict[type, Callable[[_Encoder, Any, str, int], Any]] = {
    int: _Encoder.integer,
    float: _Encoder.real,
    bytes: _Encoder.data,
    bytearray: _Encoder.data,
    list: _Encoder.members,
    tuple: _Encoder.members,
    set: _Encoder.members,
    frozenset: _Encoder.members,
    dict: _Encoder.mapping,
    decimal.Decimal: _Encoder.text,
    uuid.UUID: _Encoder.text,
    datetime.datetime: _Encoder.moment,
    datetime.date: _Encoder.moment,
    datetime.timedelta: _Encoder.duration,
}

_FROM_ITEMS: dict[str, Callable[[list[Any]], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "int": lambda text: int(text, 16),
    "float": float,
    "path": pathlib.Path,
    "Decimal": decimal.Decimal,
    "UUID": uuid.UUID,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
}


class _Decoder:
    def __init__(self, blobs: Sequence[bytes]) -> None:
        self._blobs = blobs

    def value(self, tree: Any, depth: int) -> Any:
        if depth > _DEEPEST + 1:
            message = f"what was kept of a task is nested more than {_DEEPEST} levels deep"
            raise CodecError(message)
        if isinstance(tree, list):
            return [self.value(item, depth + 1) for item in cast("list[Any]", tree)]
        if not isinstance(tree, dict):
            return tree
        node = cast("dict[str, Any]", tree)
        tag = node.get(_TAG)
        if tag == "dict":
            return {self.value(key, depth + 1): self.value(item, depth + 1) for key, item in node["items"]}
        if tag in _FROM_ITEMS:
            return _FROM_ITEMS[tag]([self.value(item, depth + 1) for item in node["items"]])
        if tag in _FROM_TEXT:
            return _FROM_TEXT[tag](node["value"])
        if tag == "object":
            return self._object(node, depth)
        return self._leaf(tag, node)

    def _leaf(self, tag: object, node: dict[str, Any]) -> Any:
        if tag in ("bytes", "bytearray"):
            data = self._blob(node) if "blob" in node else base64.b64decode(node["value"], validate=True)
            return data if tag == "bytes" else bytearray(data)
        if tag == "timedelta":
            return datetime.timedelta(*node["value"])
        if tag == "enum":
            return _class_of(node["class"], enum.Enum)[node["name"]]
        return self._foreign(tag, node)

    def _object(self, node: dict[str, Any], depth: int) -> Any:
        kind = _class_of(node["class"], Task)
        made = object.__new__(kind)
        for name, item in node["attributes"].items():
            if not isinstance(name, str) or name.startswith("__"):
                message = f"{node['class']} cannot have an attribute {name!r}"
                raise CodecError(message)
            object.__setattr__(made, name, self.value(item, depth + 1))
        return made

    def _foreign(self, tag: object, node: dict[str, Any]) -> Any:
        if tag in ("array", "scalar"):
            import numpy as np

            array: Any = np.load(io.BytesIO(self._blob(node)), allow_pickle=False)
            return array if tag == "array" else array[()]
        if tag in ("frame", "table"):
            import pyarrow as pa

            with pa.ipc.open_stream(self._blob(node)) as reader:
                table = reader.read_all()
            return table if tag == "table" else table.to_pandas()
        message = f"what was kept of a task holds {tag!r}, which this version does not know"
        raise CodecError(message)

    def _blob(self, node: dict[str, Any]) -> bytes:
        index = node["blob"]
        if type(index) is not int or not 0 <= index < len(self._blobs):
            message = f"what was kept of a task refers to blob {index!r}, but there are {len(self._blobs)}"
            raise CodecError(message)
        return self._blobs[index]


def _arrow_bytes(table: Any) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _name_of(kind: type, path: str) -> str:
    if "<locals>" in kind.__qualname__:
        message = (
            f"{path} is of class {kind.__qualname__}, which is made inside a function, so that it cannot be found again"
        )
        raise CodecError(message)
    return f"{kind.__module__}:{kind.__qualname__}"


def _class_of(name: Any, base: type) -> Any:
    """Return a class that is loaded already: of `base`, or a dataclass where a task may stand. Nothing is imported."""
    module_name, _, qualified = str(name).partition(":")
    found: Any = sys.modules.get(module_name)
    for part in qualified.split("."):
        found = vars(found).get(part) if found is not None else None
    fits = isinstance(found, type) and (issubclass(found, base) or (base is Task and dataclasses.is_dataclass(found)))
    if not fits:
        message = (
            f"what was kept of a task needs the class {name!r}, which is not loaded, or no kind of task; import its module first, "
            "for example by building the pipeline"
        )
        raise CodecError(message)
    return found
